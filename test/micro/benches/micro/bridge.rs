//! The way to tx and back, with a thread in the place of tx that answers at once.

use authkv_micro::bridge::doorbell::Doorbell;
use authkv_micro::bridge::mailbox::{Mailbox, Reply};
use authkv_micro::bridge::Bridge;
use criterion::{Criterion, Throughput};
use rustix::event::{poll, PollFd, PollFlags};
use std::thread;
use tokio::runtime::{Builder, Runtime};

/// What tx does, without its fibers and its event loop.
fn take_jobs(bridge: &Bridge) {
    loop {
        while let Some((job, reply)) = bridge.jobs.pop() {
            reply.send(job + 1);
        }
        bridge.ring_back();
        bridge.doorbell.sleep(
            || !bridge.jobs.is_empty(),
            |fd| {
                poll(&mut [PollFd::new(&fd, PollFlags::IN)], None).unwrap();
            },
        );
    }
}

async fn call_once(bridge: &Bridge, job: u64) {
    let mailbox = Mailbox::own().unwrap();
    let (reply, answer) = Reply::new(mailbox.clone());
    assert!(bridge.jobs.push((job, reply)).is_ok());
    mailbox.left_one(bridge);
    assert_eq!(answer.await, Ok(job + 1));
}

fn together(runtime: &Runtime, bridge: &'static Bridge, jobs: u64) {
    runtime.block_on(async {
        let calls: Vec<_> = (0..jobs)
            .map(|job| tokio::spawn(call_once(bridge, job)))
            .collect();
        for call in calls {
            call.await.unwrap();
        }
    });
}

pub fn call(criterion: &mut Criterion) {
    // Both live as long as the process.
    let bridge: &Bridge = Box::leak(Box::new(Bridge::new(Doorbell::new().unwrap())));
    thread::spawn(|| take_jobs(bridge));
    let open = bridge.open_mailbox();
    let runtime = Builder::new_current_thread().build().unwrap();
    let mailbox = open.mailbox.clone();
    runtime.spawn(async move { mailbox.serve(bridge).await });
    let mut group = criterion.benchmark_group("bridge");
    for jobs in [1, 64] {
        group.throughput(Throughput::Elements(jobs));
        group.bench_function(format!("{jobs} at a time"), |bencher| {
            bencher.iter(|| together(&runtime, bridge, jobs))
        });
    }
}
