//! Logins, against what Argon2id alone costs.

use super::Bound::AtLeast;
use super::{Contender, Work, AUTHKV};
use crate::drivers::http::Http;
use crate::figures::{Figure, Figures};
use crate::subjects::authkv::PASSWORD;
use crate::subjects::Lab;
use crate::Result;
use argon2::{Algorithm, Argon2, Params, Version};
use serde_json::json;
use std::time::{Duration, Instant};

/// As many users and connections.
const USERS: u32 = 16;
const ARGON2: &str = "Argon2id alone on one core, in this program";

pub fn works(lab: &Lab) -> Result<Vec<Work>> {
    // authkv has as many threads for hashes.
    let cores = std::thread::available_parallelism()?.get().min(4);
    let title = format!("Logins over HTTP, {USERS} connections");
    let mut work = Work::new(lab, "logins", title);
    let authkv = lab.authkv()?;
    let logins: Vec<_> = (0..USERS).map(|user| format!("bench{user}")).collect();
    for login in &logins {
        let user =
            json!({ "login": login, "password": PASSWORD, "name": "Bench", "surname": "Bench" });
        Http::new(authkv.http, "/api/register/", [user.to_string()]).exchange()?;
    }
    let bodies = logins
        .iter()
        .map(|login| json!({ "login": login, "password": PASSWORD }).to_string());
    let login = Http::new(authkv.http, "/api/login/", bodies);
    work.add(AUTHKV, &[authkv.process.pid()], move |seconds| {
        login.drive(USERS, seconds)
    });
    work.contenders.push(Contender {
        name: ARGON2.to_owned(),
        run: Box::new(hash),
    });
    work.goal(ARGON2, Figure::Rate, AtLeast(0.9 * cores as f64));
    Ok(vec![work])
}

/// Hashes with the parameters that are authkv's default: `ARGON2_MEMORY`, `ARGON2_ITERATIONS`, `ARGON2_PARALLELISM`.
fn hash(seconds: u32) -> Result<Figures> {
    let params = Params::new(19_456, 2, 1, Some(32)).map_err(|error| error.to_string())?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let (start, mut hashes, mut tag) = (Instant::now(), 0.0, [0; 32]);
    while start.elapsed() < Duration::from_secs(u64::from(seconds)) {
        argon2
            .hash_password_into(PASSWORD.as_bytes(), b"a salt: 16 bytes", &mut tag)
            .map_err(|error| error.to_string())?;
        hashes += 1.0;
    }
    let rate = hashes / start.elapsed().as_secs_f64();
    Ok(Figures::from([
        (Figure::Rate, rate),
        (Figure::Cpu, 1e6 / rate),
    ]))
}
