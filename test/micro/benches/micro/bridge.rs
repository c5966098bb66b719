//! The way to tx and back, with a thread in the place of tx that answers at once.

use authkv_mailbox::doorbell::Doorbell;
use authkv_mailbox::{Mailbox, Mailboxes, Reply};
use criterion::{Criterion, Throughput};
use crossbeam_queue::ArrayQueue;
use rustix::event::{poll, PollFd, PollFlags};
use std::sync::Arc;
use std::thread;
use tokio::runtime::{Builder, Runtime};

/// What workers and tx share: as the bridge of the library, with numbers in place of commands and outcomes.
struct Bridge {
    jobs: ArrayQueue<(u64, Reply<u64>)>,
    mailboxes: Mailboxes<u64>,
    doorbell: Doorbell,
}

/// What tx does, without its fibers and its event loop.
fn take_jobs(bridge: &Bridge) {
    loop {
        while let Some((job, reply)) = bridge.jobs.pop() {
            reply.send(job + 1);
        }
        bridge.mailboxes.ring_back();
        bridge.doorbell.sleep(
            || !bridge.jobs.is_empty(),
            |fd| {
                poll(&mut [PollFd::new(&fd, PollFlags::IN)], None).unwrap();
            },
        );
    }
}

async fn call_once(bridge: &Bridge, mailbox: Arc<Mailbox<u64>>, job: u64) {
    let (reply, answer) = Reply::new(mailbox.clone());
    assert!(bridge.jobs.push((job, reply)).is_ok());
    mailbox.job_queued(&bridge.doorbell);
    assert_eq!(answer.await, Ok(job + 1));
}

fn together(runtime: &Runtime, bridge: &'static Bridge, mailbox: &Arc<Mailbox<u64>>, jobs: u64) {
    runtime.block_on(async {
        let calls: Vec<_> = (0..jobs)
            .map(|job| tokio::spawn(call_once(bridge, mailbox.clone(), job)))
            .collect();
        for call in calls {
            call.await.unwrap();
        }
    });
}

pub fn call(criterion: &mut Criterion) {
    // Both live as long as the process.
    let bridge: &Bridge = Box::leak(Box::new(Bridge {
        jobs: ArrayQueue::new(1024),
        mailboxes: Mailboxes::default(),
        doorbell: Doorbell::new().unwrap(),
    }));
    thread::spawn(|| take_jobs(bridge));
    let mailbox = bridge.mailboxes.add();
    let runtime = Builder::new_current_thread().build().unwrap();
    let served = mailbox.clone();
    runtime.spawn(async move { served.serve(&bridge.doorbell).await });
    let mut group = criterion.benchmark_group("bridge");
    for jobs in [1, 64] {
        group.throughput(Throughput::Elements(jobs));
        group.bench_function(format!("{jobs} at a time"), |bencher| {
            bencher.iter(|| together(&runtime, bridge, &mailbox, jobs))
        });
    }
}
