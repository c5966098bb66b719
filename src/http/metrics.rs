//! What is counted of requests and connections. Any thread.

use authkv_metrics::{list, per_thread, Buckets, Family};
use authkv_wire::routes;
use hyper::Method;
use std::time::Duration;

/// The methods that have a label of their own, and any other one.
const METHODS: [&str; 8] = [
    "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "other",
];
/// The statuses that are sent, and any other one.
const STATUSES: [&str; 25] = [
    "200", "201", "204", "304", "400", "401", "403", "404", "405", "408", "409", "410", "412",
    "413", "415", "417", "422", "429", "431", "500", "501", "503", "505", "507", "other",
];

/// The places of pages, and of paths that are neither page nor route.
const PAGE: usize = routes::COUNT;
const NOWHERE: usize = routes::COUNT + 1;
const PLACES: usize = routes::COUNT + 2;

const TIME: Buckets = Buckets::REQUEST;

// The first counter of each block.
const TIMES: usize = PLACES * METHODS.len() * STATUSES.len();
const RECEIVED: usize = TIMES + PLACES * METHODS.len() * TIME.cells();
const SENT: usize = RECEIVED + PLACES;

per_thread! {
    /// Requests by place, method and status; their times by place and method; bytes of their bodies and answers by place.
    static REQUESTS: SENT + PLACES;
}

/// What became of connections, in the order of their counters.
const ADMISSIONS: [&str; 3] = ["accepted", "refused", "refused_address"];

per_thread! {
    /// Connections by what became of them.
    static CONNECTIONS: ADMISSIONS.len();
}

/// An answered request.
pub struct Answered<'a> {
    /// See [`place`].
    pub place: usize,
    pub method: &'a Method,
    pub status: u16,
    pub bytes_in: usize,
    pub bytes_out: usize,
    pub time: Duration,
}

/// The place of a request among the counters: that of its route, or whether it is a page.
pub fn place(route: Option<usize>, is_page: bool) -> usize {
    match (route, is_page) {
        (Some(route), _) => route,
        (None, true) => PAGE,
        (None, false) => NOWHERE,
    }
}

impl Answered<'_> {
    pub fn count(&self) {
        let of = self.place * METHODS.len() + method(self.method);
        REQUESTS.with(|own| {
            own.add(of * STATUSES.len() + status(self.status), 1);
            TIME.observe_time(own, TIMES + of * TIME.cells(), self.time);
            own.add(RECEIVED + self.place, self.bytes_in as u64);
            own.add(SENT + self.place, self.bytes_out as u64);
        });
    }
}

/// The number of a method in [`METHODS`].
fn method(method: &Method) -> usize {
    match *method {
        Method::GET => 0,
        Method::HEAD => 1,
        Method::POST => 2,
        Method::PUT => 3,
        Method::DELETE => 4,
        Method::OPTIONS => 5,
        Method::PATCH => 6,
        _ => METHODS.len() - 1,
    }
}

/// The number of a status in [`STATUSES`].
fn status(status: u16) -> usize {
    const NUMBERS: [u8; 600] = {
        let mut numbers = [STATUSES.len() as u8 - 1; 600];
        let mut at = 0;
        while at + 1 < STATUSES.len() {
            let text = STATUSES[at].as_bytes();
            numbers[(text[0] - b'0') as usize * 100
                + (text[1] - b'0') as usize * 10
                + (text[2] - b'0') as usize] = at as u8;
            at += 1;
        }
        numbers
    };
    let number = NUMBERS.get(usize::from(status));
    number.map_or(STATUSES.len() - 1, |number| usize::from(*number))
}

/// Counts a connection that was admitted.
pub fn accepted() {
    CONNECTIONS.add(0, 1);
}

/// Counts a connection that was refused, because there were too many in all, or from one address.
pub fn refused(by_address: bool) {
    CONNECTIONS.add(1 + usize::from(by_address), 1);
}

/// The path that is the label of a place. `None` for the second route of a path, which is never counted.
fn label(place: usize) -> Option<&'static str> {
    match place {
        PAGE => Some("page"),
        NOWHERE => Some("-"),
        place => {
            let route = &routes::all()[place];
            (route.place() == place).then(|| route.path())
        }
    }
}

/// What was counted of requests and connections so far.
pub fn requests() -> Vec<Family> {
    let sums = REQUESTS.sums();
    let (mut requests, mut times) = (Vec::new(), Vec::new());
    let (mut received, mut sent) = (Vec::new(), Vec::new());
    for place in 0..PLACES {
        let Some(route) = label(place) else { continue };
        let mut is_used = false;
        for (number, method) in METHODS.into_iter().enumerate() {
            let of = place * METHODS.len() + number;
            for (number, status) in STATUSES.into_iter().enumerate() {
                let count = sums[of * STATUSES.len() + number];
                if count > 0 {
                    requests.push(([route, method, status].map(Into::into), count.into()));
                    is_used = true;
                }
            }
            let first = TIMES + of * TIME.cells();
            let time = TIME.read(&sums[first..first + TIME.cells()]);
            if let Some(time) = time.filter(|time| !time.is_empty()) {
                times.push(([route, method].map(Into::into), time));
            }
        }
        if is_used {
            received.push((route, sums[RECEIVED + place]));
            sent.push((route, sums[SENT + place]));
        }
    }
    let admissions = ADMISSIONS.into_iter().zip(CONNECTIONS.sums());
    vec![
        list::HTTP_REQUESTS.family(requests),
        list::HTTP_REQUEST_DURATION.family(times),
        list::HTTP_REQUEST_BODY.labelled(received),
        list::HTTP_RESPONSE_BODY.labelled(sent),
        list::HTTP_CONNECTION_ATTEMPTS.labelled(admissions),
    ]
}

/// The kinds of answers in pieces.
pub const STREAMS: [&str; 3] = ["watch", "export", "import"];

#[cfg(test)]
mod tests {
    use super::*;
    use authkv_base::error::Error;
    use authkv_metrics::{Labels, Sample, Value};

    #[test]
    fn every_status_that_is_sent_has_a_label() {
        for (row, _) in Error::ROWS {
            for one in [row.api_status, row.v1_status] {
                assert_eq!(STATUSES[status(one)], one.to_string());
            }
        }
        for one in [200, 201, 204, 304] {
            assert_eq!(STATUSES[status(one)], one.to_string());
        }
        assert_eq!(STATUSES[status(299)], "other");
        assert_eq!(STATUSES[status(65535)], "other");
    }

    #[test]
    fn methods_have_the_numbers_of_their_labels() {
        for (number, name) in METHODS.iter().enumerate() {
            assert_eq!(
                method(&Method::from_bytes(name.as_bytes()).unwrap()),
                number
            );
        }
    }

    #[test]
    fn a_request_is_counted_under_the_path_of_its_route() {
        let route = routes::all()
            .iter()
            .find(|route| route.path() == "/v1/kv/{key}");
        let brew = Method::from_bytes(b"BREW").unwrap();
        let answered = |place, method, status| Answered {
            place,
            method,
            status,
            bytes_in: 3,
            bytes_out: 5,
            time: Duration::from_millis(2),
        };
        let of_route = place(route.map(|route| route.place()), false);
        answered(of_route, &Method::GET, 200).count();
        answered(of_route, &Method::DELETE, 200).count();
        answered(place(None, false), &brew, 404).count();
        answered(place(None, true), &Method::GET, 200).count();
        let families = requests();
        let counted: Vec<Vec<_>> = families[0].samples.iter().map(labels).collect();
        for expected in [
            ["/v1/kv/{key}", "GET", "200"],
            ["/v1/kv/{key}", "DELETE", "200"],
            ["-", "other", "404"],
            ["page", "GET", "200"],
        ] {
            assert!(
                counted.iter().any(|labels| *labels == expected),
                "{expected:?} {counted:?}"
            );
        }
        let of = |family: &Family| {
            let found = family
                .samples
                .iter()
                .find(|one| labels(one)[0] == "/v1/kv/{key}");
            found.map(|sample| sample.value.clone())
        };
        assert_eq!(of(&families[2]), Some(Value::from(6u64)));
        assert_eq!(of(&families[3]), Some(Value::from(10u64)));
    }

    fn labels(sample: &Sample) -> Vec<String> {
        let Labels(labels) = &sample.labels;
        labels.iter().map(|(_, value)| value.to_string()).collect()
    }
}
