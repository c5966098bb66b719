"""Settings: what stops a start and how it is said, the keys, the first user; and that nothing secret is logged."""

import stat

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

import harness
from cases import GOOD, INVALID_CREDENTIALS
from fronts import ConsoleFront, HttpFront, IprotoFront
from outcome import A_TOKEN, Ok, assert_outcome

# setting, value, and what the message has to hold beside the setting's name
INVALID = [
    ("AUTHKV_FOO", "1", ["AUTHKV_", "HTTP_LISTEN", "DATA_DIR"]),
    ("AUTHKV_HTTP_LISTN", "127.0.0.1:8080", ["HTTP_LISTEN"]),
    ("AUTHKV_HTTP_LISTEN", "nonsense", ["off"]),
    ("AUTHKV_HTTP_LISTEN", "127.0.0.1:99999", ["off"]),
    ("AUTHKV_HTTP_ENGINE", "nginx", ["native", "rock"]),
    ("AUTHKV_IPROTO_LISTEN", "nonsense", ["off"]),
    ("AUTHKV_SERVICES", "auth,web", ["auth", "kv"]),
    ("AUTHKV_SERVICES", "auth;kv", ["auth", "kv"]),
    ("AUTHKV_READ_ONLY", "maybe", ["true", "false"]),
    ("AUTHKV_MEMTX_MEMORY", "33554431", ["33554432"]),
    ("AUTHKV_MEMTX_MEMORY", "256M", ["33554432"]),
    ("AUTHKV_MEMTX_MAX_TUPLE_SIZE", "0", ["16384"]),
    ("AUTHKV_FOLLOW_MAX_LAG", "soon", ["unlimited"]),
    ("AUTHKV_FOLLOW", "127.0.0.1:3301", ["AUTHKV_SERVICES"]),
    ("AUTHKV_HTTP_WORKERS", "0", ["1"]),
    ("AUTHKV_HTTP_WORKERS", "many", ["1"]),
    ("AUTHKV_KV_INPUT_MAX", "-1", ["1024"]),
    ("AUTHKV_AUTH_INPUT_MAX", "1e9", ["1024"]),
    ("AUTHKV_HTTP_HEADER_TIMEOUT", "0", ["1"]),
    ("AUTHKV_BATCH_MAX", "0", ["1"]),
    ("AUTHKV_KEY_MAX", "0", ["1"]),
    ("AUTHKV_JSON_DEPTH_MAX", "0", ["1"]),
    ("AUTHKV_TOKEN_TTL", "0", ["1"]),
    ("AUTHKV_TOKEN_TTL", "1.5", ["1"]),
    ("AUTHKV_TOKEN_LEEWAY", "-1", ["0"]),
    ("AUTHKV_TOKEN_CACHE", "x", ["1"]),
    ("AUTHKV_CRYPTO_THREADS", "0", ["1"]),
    ("AUTHKV_CRYPTO_QUEUE", "0", ["1"]),
    ("AUTHKV_ARGON2_MEMORY", "7", ["8"]),
    ("AUTHKV_ARGON2_ITERATIONS", "0", ["1"]),
    ("AUTHKV_ARGON2_PARALLELISM", "0", ["1"]),
    ("AUTHKV_QUEUE", "0", ["1"]),
    ("AUTHKV_WATCH_MAX", "0", ["1"]),
    ("AUTHKV_WATCH_BUFFER", "65535", ["65536"]),
    ("AUTHKV_SHUTDOWN_TIMEOUT", "soon", ["1"]),
    ("AUTHKV_TOKEN_ALGORITHM", "HS256", ["RS256", "ES256", "EdDSA"]),
    ("AUTHKV_TOKEN_ALGORITHM", "none", ["RS256", "ES256", "EdDSA"]),
    ("AUTHKV_KEY_PUBLISH", "86401", ["86400"]),
    ("AUTHKV_KEY_PUBLISH", "-1", ["0"]),
    ("AUTHKV_REFRESH_TTL", "0", ["1"]),
    ("AUTHKV_SESSIONS_MAX", "0", ["1"]),
    ("AUTHKV_PASSWORD_MIN", "0", ["1"]),
    ("AUTHKV_PASSWORD_MAX", "long", ["1"]),
    ("AUTHKV_PASSWORD_CLASSES", "lower,emoji", ["lower", "upper", "digit", "special"]),
    ("AUTHKV_LOGIN_FAILURES", "many", ["1"]),
    ("AUTHKV_LOGIN_DELAY_MAX", "-1", ["0"]),
    ("AUTHKV_LOGIN_DELAY_EXEMPT", "here", []),
    ("AUTHKV_LOGIN_DELAY_EXEMPT", "127.0.0.0/33", []),
    ("AUTHKV_DEFAULT_ROLE", "maybe", ["on", "off"]),
    ("AUTHKV_REGISTRATION", "closed", ["open", "admin"]),
    ("AUTHKV_AUDIT_LOG", "some", ["on", "off"]),
]


@pytest.mark.parametrize("name,value,allowed", INVALID, ids=[f"{name}={value}" for name, value, _ in INVALID])
def test_an_invalid_setting_stops_the_start_and_is_named_with_what_is_allowed(make, name, value, allowed):
    said = make(keys=False, **{name: value}).refuse_to_start()
    assert name in said, said
    line = next(line for line in said.splitlines() if name in line)
    assert all(part in line.replace(name, "").replace(repr(value), "") for part in allowed), line


def test_an_unruly_admin_password_stops_the_start_and_is_not_shown(make):
    said = make(AUTHKV_ADMIN_PASSWORD="weakling").refuse_to_start()
    assert "AUTHKV_ADMIN_PASSWORD" in said and "weakling" not in said


def test_an_address_that_is_taken_stops_the_start_and_is_named(make, instance):
    for name in ("AUTHKV_HTTP_LISTEN", "AUTHKV_IPROTO_LISTEN"):
        said = make(**{name: instance.settings[name]}).refuse_to_start()
        assert instance.settings[name] in said, said


def garbage(path):
    path.write_text("no key")


def short(path):
    path.unlink()
    harness.write_key_pair(path.parent, bits=1024)


def another_curve(path):
    key = ec.generate_private_key(ec.SECP384R1())
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )


@pytest.mark.parametrize("spoil", [garbage, short, another_curve])
def test_a_private_key_that_cannot_sign_stops_the_start(make, spoil):
    instance = make()
    path = instance.data_dir / "jwt_private.pem"
    spoil(path)
    said = instance.refuse_to_start()
    assert str(path) in said or "AUTHKV_PRIVATE_KEY_FILE" in said, said
    assert "-----BEGIN" not in said


def test_a_key_pair_is_generated_once_for_the_owner_only(make):
    instance = make(keys=False).start()
    private, public = instance.data_dir / "jwt_private.pem", instance.data_dir / "jwt_public.pem"
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    key = serialization.load_pem_private_key(private.read_bytes(), password=None)
    assert key.key_size >= 3072
    assert key.public_key() == serialization.load_pem_public_key(public.read_bytes())
    http = HttpFront(instance)
    token = http.login("admin", harness.ADMIN_PASSWORD).value
    http.close()

    before = private.read_bytes(), public.read_bytes()
    instance.stop()
    instance.start()
    assert (private.read_bytes(), public.read_bytes()) == before
    http = HttpFront(instance)
    assert http.check(token) == Ok(True)
    http.close()


def test_a_key_pair_may_lie_elsewhere(make, tmp_path):
    harness.write_key_pair(tmp_path)
    instance = make(
        keys=False,
        AUTHKV_PRIVATE_KEY_FILE=str(tmp_path / "jwt_private.pem"),
        AUTHKV_PUBLIC_KEY_FILE=str(tmp_path / "jwt_public.pem"),
    ).start()
    http = HttpFront(instance)
    assert_outcome(http, http.login("admin", harness.ADMIN_PASSWORD), Ok(A_TOKEN))
    http.close()
    assert not list(instance.data_dir.glob("*.pem"))


def test_nothing_secret_is_logged(make):
    instance = make(keys=False, AUTHKV_FOLLOWER_PASSWORD="f0llower-Secret").start()
    http = HttpFront(instance)
    http.register("bob1", GOOD, "Bob", "Stone")
    http.login("bob1", "Unseen-Passw0rd!")
    token = http.login("bob1", GOOD).value
    http.logout(token)
    http.close()
    instance.stop()
    private = (instance.data_dir / "jwt_private.pem").read_text()
    secrets = [
        harness.ADMIN_PASSWORD, harness.CLIENT_PASSWORD, "f0llower-Secret", GOOD, "Unseen-Passw0rd!", token,
        token.split(".")[2], private.splitlines()[1], "$argon2id$",
    ]  # fmt: skip
    assert [secret for secret in secrets if secret in instance.log()] == []


def test_the_given_admin_password_is_used_for_the_first_start_only(make):
    instance = make().start()
    instance.stop()
    instance.settings["AUTHKV_ADMIN_PASSWORD"] = "An0ther-Secret!"
    instance.start()
    http = HttpFront(instance)
    assert_outcome(http, http.login("admin", "An0ther-Secret!"), INVALID_CREDENTIALS)
    assert_outcome(http, http.login("admin", harness.ADMIN_PASSWORD), Ok(A_TOKEN))
    http.close()


def test_a_random_admin_password_is_shown_once_and_works(make):
    # It is found by trying.
    instance = make(AUTHKV_ADMIN_PASSWORD=None, AUTHKV_LOGIN_DELAY_MAX="0").start()
    http = HttpFront(instance)
    words = {word for line in instance.log().splitlines() if "admin" in line for word in line.split()}
    passwords = [word for word in words if isinstance(http.login("admin", word), Ok)]
    assert len(passwords) == 1, instance.log()
    http.close()
    instance.stop()
    instance.start()
    assert instance.log().count(passwords[0]) == 1
    http = HttpFront(instance)
    assert_outcome(http, http.login("admin", passwords[0]), Ok(A_TOKEN))
    http.close()


def test_a_front_that_is_off_does_not_listen(make):
    instance = make(AUTHKV_HTTP_LISTEN="off", AUTHKV_CONSOLE_LISTEN="off").start()
    with pytest.raises(ConnectionRefusedError):
        HttpFront(instance).check("x")
    assert not instance.console_path.exists()
    iproto = IprotoFront(instance)
    assert_outcome(iproto, iproto.login("admin", harness.ADMIN_PASSWORD), Ok(A_TOKEN))
    iproto.close()
    instance.stop()

    instance.settings |= {"AUTHKV_IPROTO_LISTEN": "off", "AUTHKV_CONSOLE_LISTEN": None}
    instance.start()
    console = ConsoleFront(instance)
    assert_outcome(console, console.login("admin", harness.ADMIN_PASSWORD), Ok(A_TOKEN))
    assert console.evaluate("return box.cfg.listen") in ([], [None])
    console.close()


def test_the_console_is_for_the_owner_only(instance):
    mode = stat.S_IMODE(instance.console_path.stat().st_mode)
    directory = stat.S_IMODE(instance.data_dir.stat().st_mode)
    assert not (mode & 0o077 and directory & 0o077)


def test_an_unset_client_password_makes_no_user(make):
    instance = make(AUTHKV_CLIENT_PASSWORD=None).start()
    console = ConsoleFront(instance)
    assert console.evaluate("return box.schema.user.exists('authkv')") == [False]
    console.close()


def test_tokens_live_as_long_as_the_settings_say(make):
    instance = make(AUTHKV_TOKEN_TTL="1", AUTHKV_TOKEN_LEEWAY="0").start()
    http = HttpFront(instance)
    token = http.login("admin", harness.ADMIN_PASSWORD).value
    harness.wait_until(lambda: http.check(token) == Ok(False), "the token expires")
    http.close()


def test_a_key_file_that_is_named_is_neither_made_up_nor_overwritten(make):
    instance = make()
    missing = instance.data_dir / "typo.pem"
    instance.settings["AUTHKV_PRIVATE_KEY_FILE"] = str(missing)
    assert str(missing) in instance.refuse_to_start()
    assert not missing.exists()

    instance = make()
    other = instance.data_dir / "other.pem"
    other.write_text("another key")
    instance.settings["AUTHKV_PUBLIC_KEY_FILE"] = str(other)
    assert str(other) in instance.refuse_to_start()
    assert other.read_text() == "another key"


def test_a_key_that_cannot_sign_stops_the_start(make):
    instance = make(keys=False)
    harness.write_key_pair(instance.data_dir, bits=5120)
    assert "jwt_private.pem" in instance.refuse_to_start()


@pytest.mark.parametrize("name", ["AUTHKV_FOLLOW", "AUTHKV_IPROTO_LISTEN"])
def test_a_password_in_an_address_is_refused_and_not_repeated(make, name):
    said = make(**{name: "user:S3cret@127.0.0.1:1"}).refuse_to_start()
    assert name in said
    assert "S3cret" not in said


def test_an_empty_variable_does_not_undo_a_layout(make):
    instance = make(AUTHKV_LAYOUT="authorization_tarantool", AUTHKV_SERVICES="").start()
    http = HttpFront(instance)
    assert http.request("POST", "/api/read", b"{}").status == 404
    http.close()


def test_a_value_that_is_not_utf8_is_named(make):
    instance = make(AUTHKV_TOKEN_TTL=b"\xff")
    assert "AUTHKV_TOKEN_TTL" in instance.refuse_to_start()
