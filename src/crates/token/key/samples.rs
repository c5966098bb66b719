//! Keys for tests. Each run makes new ones with `openssl`, because users have keys in its formats.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::LazyLock;

/// Keys in PEM, in the common forms.
pub struct Samples {
    /// 2048 bits.
    pub rsa: String,
    pub rsa_pkcs1: String,
    pub rsa_public: String,
    pub rsa_public_pkcs1: String,
    /// RSA of 1024 bits.
    pub short: String,
    pub short_public: String,
    /// P-256.
    pub ec: String,
    /// With a block of parameters before it.
    pub ec_sec1: String,
    /// Without its public half.
    pub ec_alone: String,
    pub ec_public: String,
    pub ec_public_compressed: String,
    pub p384: String,
    pub p384_public: String,
    pub ed: String,
    pub ed_public: String,
}

/// Makes the keys once in a run.
pub fn samples() -> &'static Samples {
    static SAMPLES: LazyLock<Samples> = LazyLock::new(make);
    &SAMPLES
}

fn make() -> Samples {
    let rsa = openssl("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048", "");
    let short = openssl("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:1024", "");
    let ec_sec1 = openssl("ecparam -name prime256v1 -genkey", "");
    let p384 = openssl("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384", "");
    let ed = openssl("genpkey -algorithm ed25519", "");
    Samples {
        rsa_pkcs1: openssl("rsa -traditional", &rsa),
        rsa_public: openssl("pkey -pubout", &rsa),
        rsa_public_pkcs1: openssl("rsa -RSAPublicKey_out", &rsa),
        short_public: openssl("pkey -pubout", &short),
        ec: openssl("pkcs8 -topk8 -nocrypt", &ec_sec1),
        ec_alone: openssl("ec -no_public", &ec_sec1),
        ec_public: openssl("pkey -pubout", &ec_sec1),
        ec_public_compressed: openssl("ec -pubout -conv_form compressed", &ec_sec1),
        p384_public: openssl("pkey -pubout", &p384),
        ed_public: openssl("pkey -pubout", &ed),
        rsa,
        short,
        ec_sec1,
        p384,
        ed,
    }
}

/// Runs a command of `openssl` with this input and returns its output.
fn openssl(command: &str, input: &str) -> String {
    let mut child = Command::new("openssl")
        .args(command.split(' '))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "openssl {command}");
    String::from_utf8(output.stdout).unwrap()
}
