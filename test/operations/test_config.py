"""Settings: what stops a start and how it is said, the keys, the first user; and that nothing secret is logged."""

import re
import socket
import stat

import pytest
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from support import harness
from support.contract import GOOD, INVALID_CREDENTIALS
from support.outcome import A_TOKEN, Ok, assert_outcome
from support.transports import ConsoleTransport, HttpTransport, IprotoTransport

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
    ("AUTHKV_REGISTRATIONS_PER_ADDRESS", "0/60", ["600/60", "unlimited"]),
    ("AUTHKV_REQUESTS_PER_ADDRESS", "600", ["600/60", "unlimited"]),
    ("AUTHKV_REQUESTS_PER_USER", "600/0", ["600/60", "unlimited"]),
    ("AUTHKV_USERS_MAX", "0", ["1", "unlimited"]),
    ("AUTHKV_KV_QUOTAS", "users/*:1:1", ["prefix:pairs:bytes", "none"]),
    ("AUTHKV_KV_QUOTAS", "a/:1", ["prefix:pairs:bytes", "none"]),
    ("AUTHKV_KV_QUOTAS", "a/:1:1,a/:2:2", ["more than once"]),
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
    path.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))


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
    http = HttpTransport(instance)
    token = http.login("admin", harness.ADMIN_PASSWORD).value
    http.close()

    before = private.read_bytes(), public.read_bytes()
    instance.stop()
    instance.start()
    assert (private.read_bytes(), public.read_bytes()) == before
    http = HttpTransport(instance)
    assert http.check(token) == Ok(True)
    http.close()


def test_a_key_pair_may_lie_elsewhere(make, tmp_path):
    harness.write_key_pair(tmp_path)
    instance = make(
        keys=False,
        AUTHKV_PRIVATE_KEY_FILE=str(tmp_path / "jwt_private.pem"),
        AUTHKV_PUBLIC_KEY_FILE=str(tmp_path / "jwt_public.pem"),
    ).start()
    http = HttpTransport(instance)
    assert_outcome(http, http.login("admin", harness.ADMIN_PASSWORD), Ok(A_TOKEN))
    http.close()
    assert not list(instance.data_dir.glob("*.pem"))


def test_nothing_secret_is_logged(make):
    instance = make(keys=False, AUTHKV_FOLLOWER_PASSWORD="f0llower-Secret").start()
    http = HttpTransport(instance)
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
    http = HttpTransport(instance)
    assert_outcome(http, http.login("admin", "An0ther-Secret!"), INVALID_CREDENTIALS)
    assert_outcome(http, http.login("admin", harness.ADMIN_PASSWORD), Ok(A_TOKEN))
    http.close()


def test_a_random_admin_password_is_shown_once_and_works(make):
    # It is found by trying.
    instance = make(AUTHKV_ADMIN_PASSWORD=None, AUTHKV_LOGIN_DELAY_MAX="0").start()
    http = HttpTransport(instance)
    words = {word for line in instance.log().splitlines() if "admin" in line for word in line.split()}
    passwords = [word for word in words if isinstance(http.login("admin", word), Ok)]
    assert len(passwords) == 1, instance.log()
    http.close()
    instance.stop()
    instance.start()
    assert instance.log().count(passwords[0]) == 1
    http = HttpTransport(instance)
    assert_outcome(http, http.login("admin", passwords[0]), Ok(A_TOKEN))
    http.close()


@pytest.mark.parametrize("what", ["http", "iproto", "console"])
def test_a_random_admin_password_is_shown_by_a_start_that_fails_after_the_user_is_made(make, what):
    instance = make(AUTHKV_ADMIN_PASSWORD=None, AUTHKV_LOGIN_DELAY_MAX="0")
    if what == "console":
        instance.console_path.mkdir()
        instance.refuse_to_start()
        instance.console_path.rmdir()
    else:
        with socket.create_server((harness.HOST, instance.http_port if what == "http" else instance.iproto_port)):
            instance.refuse_to_start()
    shown = re.findall(r"Its password, shown only this once: (\S+)", instance.log())
    assert len(shown) == 1, instance.log()
    instance.start()
    http = HttpTransport(instance)
    assert_outcome(http, http.login("admin", shown[0]), Ok(A_TOKEN))
    http.close()


def test_a_transport_that_is_off_does_not_listen(make):
    instance = make(AUTHKV_HTTP_LISTEN="off", AUTHKV_CONSOLE_LISTEN="off").start()
    with pytest.raises(ConnectionRefusedError):
        HttpTransport(instance).check("x")
    assert not instance.console_path.exists()
    iproto = IprotoTransport(instance)
    assert_outcome(iproto, iproto.login("admin", harness.ADMIN_PASSWORD), Ok(A_TOKEN))
    iproto.close()
    instance.stop()

    instance.settings |= {"AUTHKV_IPROTO_LISTEN": "off", "AUTHKV_CONSOLE_LISTEN": None}
    instance.start()
    console = ConsoleTransport(instance)
    assert_outcome(console, console.login("admin", harness.ADMIN_PASSWORD), Ok(A_TOKEN))
    assert console.evaluate("return box.cfg.listen") in ([], [None])
    console.close()


def test_the_console_is_for_the_owner_only(instance):
    mode = stat.S_IMODE(instance.console_path.stat().st_mode)
    directory = stat.S_IMODE(instance.data_dir.stat().st_mode)
    assert not (mode & 0o077 and directory & 0o077)


def test_an_unset_client_password_makes_no_user(make):
    instance = make(AUTHKV_CLIENT_PASSWORD=None).start()
    console = ConsoleTransport(instance)
    assert console.evaluate("return box.schema.user.exists('authkv')") == [False]
    console.close()


def test_tokens_live_as_long_as_the_settings_say(make):
    instance = make(AUTHKV_TOKEN_TTL="1", AUTHKV_TOKEN_LEEWAY="0").start()
    http = HttpTransport(instance)
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
    http = HttpTransport(instance)
    assert http.request("POST", "/api/read", b"{}").status == 404
    http.close()


def test_a_value_that_is_not_utf8_is_named(make):
    instance = make(AUTHKV_TOKEN_TTL=b"\xff")
    assert "AUTHKV_TOKEN_TTL" in instance.refuse_to_start()


# Every setting is a text first; these stand for each kind of them.
UNTIDY = [
    ("AUTHKV_ADMIN_PASSWORD", "Adm1n_passw0rd!\n"),
    ("AUTHKV_ADMIN_PASSWORD", " Adm1n_passw0rd!"),
    ("AUTHKV_CLIENT_PASSWORD", "s3cret-client\r"),
    ("AUTHKV_CLIENT_PASSWORD", "s3cret\tclient"),
    ("AUTHKV_CLIENT_PASSWORD", "\ufeffs3cret-client"),
    ("AUTHKV_FOLLOWER_PASSWORD", "s3cret\x7fclient"),
    ("AUTHKV_FOLLOWER_PASSWORD", "s3cret-client\u00a0"),
    ("AUTHKV_TOKEN_ISSUER", "issuer\n"),
    ("AUTHKV_TOKEN_AUDIENCE", "s3cret\x85client"),
    ("AUTHKV_PRIVATE_KEY_FILE", "/s3cret/key.pem\n"),
    ("AUTHKV_HTTP_SERVER", "server "),
    ("AUTHKV_HTTP_LISTEN", "127.0.0.1:0\n"),
    ("AUTHKV_BATCH_MAX", "10\n"),
    ("AUTHKV_DATA_DIR", "s3cret/\nvar"),
]


@pytest.mark.parametrize("name,value", UNTIDY, ids=[f"{name}={value!a}" for name, value in UNTIDY])
def test_white_space_around_a_setting_and_control_characters_stop_the_start(make, name, value):
    said = make(keys=False, **{name: value}).refuse_to_start()
    line = next(line for line in said.splitlines() if name in line)
    assert "white space" in line or "control character" in line, line
    assert value.strip("\n\r\ufeff\u00a0 ") not in said.replace(name, ""), said


def test_settings_given_in_lua_are_looked_at_too(instance):
    console = ConsoleTransport(instance)
    for value in ("server\\n", "\\0server", "\\x0bserver", " server"):
        ok, said = console.evaluate(f"return pcall(authkv.http.reload, {{HTTP_SERVER = '{value}'}})")
        assert ok is False and "AUTHKV_HTTP_SERVER" in str(said) and "\n" not in str(said), said
    console.close()


# What Kubernetes injects for Services: of authkv, with two ports, and of authkv-kv, with IPv6.
OF_KUBERNETES = {
    "AUTHKV_SERVICE_HOST": "10.96.0.17",
    "AUTHKV_SERVICE_PORT": "8080",
    "AUTHKV_SERVICE_PORT_HTTP": "8080",
    "AUTHKV_SERVICE_PORT_IPROTO_2": "3301",
    "AUTHKV_PORT": "tcp://10.96.0.17:8080",
    "AUTHKV_PORT_8080_TCP": "tcp://10.96.0.17:8080",
    "AUTHKV_PORT_8080_TCP_PROTO": "tcp",
    "AUTHKV_PORT_8080_TCP_PORT": "8080",
    "AUTHKV_PORT_8080_TCP_ADDR": "10.96.0.17",
    "AUTHKV_PORT_53_UDP": "udp://10.96.0.17:53",
    "AUTHKV_PORT_53_UDP_ADDR": "10.96.0.17",
    "AUTHKV_PORT_9_SCTP_PROTO": "sctp",
    "AUTHKV_KV_SERVICE_HOST": "fd00:10:96::a",
    "AUTHKV_KV_SERVICE_PORT": "80",
    "AUTHKV_KV_SERVICE_PORT_HTTP": "80",
    "AUTHKV_KV_PORT": "tcp://[fd00:10:96::a]:80",
    "AUTHKV_KV_PORT_80_TCP": "tcp://[fd00:10:96::a]:80",
    "AUTHKV_KV_PORT_80_TCP_ADDR": "fd00:10:96::a",
    "AUTHKV_A_B9_SERVICE_PORT_X": "1",
}


def test_what_kubernetes_says_of_services_is_no_setting(make):
    instance = make(**OF_KUBERNETES).start()
    line = next(line for line in instance.log().splitlines() if "Kubernetes" in line)
    named = line.split("setting: ")[1].split(", ")
    assert named == sorted(OF_KUBERNETES)
    assert "10.96" not in line and "fd00" not in line
    transport = HttpTransport(instance)
    assert transport.register("tester", GOOD, "Test", "Tester") == Ok()
    transport.close()


@pytest.mark.parametrize(
    "name,value",
    [
        ("AUTHKV_PORT", "8080"),
        ("AUTHKV_PORT", "http://10.0.0.1:80"),
        ("AUTHKV_PORT", "tcp://10.0.0.1"),
        ("AUTHKV_PORT", "tcp://10.0.0.1:0"),
        ("AUTHKV_HTTP_PORT", "8080"),
        ("AUTHKV_SERVICE_HOST", "authkv.default.svc"),
        ("AUTHKV_SERVICE_HOST", "10.0.0.256"),
        ("AUTHKV_SERVICE_PORT", "65536"),
        ("AUTHKV_SERVICE_PORT_HTTP", "tcp"),
        ("AUTHKV_SERVICE_PORT_", "80"),
        ("AUTHKV_SERVICES_PORT", "80"),
        ("AUTHKV_PORT_8080_TCP", "tcp://10.0.0.1:8081"),
        ("AUTHKV_PORT_8080_TCP", "udp://10.0.0.1:8080"),
        ("AUTHKV_PORT_8080_TCP_PORT", "80"),
        ("AUTHKV_PORT_8080_ICMP_PROTO", "icmp"),
        ("AUTHKV_PORT_8080_TCP_ADDR", "here"),
        ("AUTHKV_PORT_8080_TCP_HOST", "10.0.0.1"),
        ("AUTHKV__SERVICE_HOST", "10.0.0.1"),
    ],
)
def test_a_mistyped_setting_is_not_taken_for_what_kubernetes_says(make, name, value):
    assert f"{name} is not a setting" in make(keys=False, **{name: value}).refuse_to_start()


def test_no_setting_has_a_name_that_kubernetes_gives(instance):
    console = ConsoleTransport(instance)
    ends = ("_PORT", "_HOST", "_ADDR", "_PROTO", "_TCP", "_UDP", "_SCTP")
    (settings,) = console.evaluate("return authkv.settings()")
    names = [row[0] if isinstance(row, list) else row["name"] for row in settings]
    assert "HTTP_LISTEN" in names
    assert not [name for name in names if name.endswith(ends) or "SERVICE_PORT" in name]
    console.close()


def test_compose_hands_on_every_setting_that_is_not_the_images(instance):
    console = ConsoleTransport(instance)
    (rows,) = console.evaluate("return authkv.settings()")
    (secrets,) = console.evaluate("return require('authkv.native').secrets()")
    console.close()
    compose = yaml.safe_load((harness.ROOT / "docker-compose.yml").read_text())
    # Volumes and ports have to match those of the image; the file says which services it starts, and whom they follow.
    fixed = {
        "DATA_DIR",
        "HTTP_LISTEN",
        "HTTP_ADMIN_LISTEN",
        "IPROTO_LISTEN",
        "CONSOLE_LISTEN",
        "LAYOUT",
        "SERVICES",
        "FOLLOW",
        "FOLLOW_MAX_LAG",
    }
    handed_on = compose["services"]["authkv"]["environment"]
    files = {f"AUTHKV_{name}_FILE" for name in secrets}
    assert {f"AUTHKV_{row[0]}" for row in rows if row[0] not in fixed} | files | {"AUTHKV_CONFIG"} == set(handed_on)
    assert not any(handed_on.values())
    page = (harness.ROOT / "documentation" / "how-to-run.md").read_text()
    assert all(name.split("_")[0] in page for name in fixed)


def test_an_iproto_port_in_use_stops_the_start_and_is_named(make):
    with socket.create_server((harness.HOST, 0)) as taken:
        address = f"{harness.HOST}:{taken.getsockname()[1]}"
        said = make(AUTHKV_IPROTO_LISTEN=address).refuse_to_start()
    line = next(line for line in said.splitlines() if "cannot listen" in line)
    assert "AUTHKV_IPROTO_LISTEN" in line and address in line


def test_a_console_socket_that_cannot_be_made_stops_the_start_and_is_named(make, tmp_path):
    path = tmp_path / "no" / "console.sock"
    said = make(AUTHKV_CONSOLE_LISTEN=str(path)).refuse_to_start()
    assert "AUTHKV_CONSOLE_LISTEN" in said and str(path) in said


def test_the_key_is_made_while_the_process_works(make):
    instance = make(keys=False).start()
    assert "making a key for RS256" in instance.log()
    assert re.search(r"the key was made in \d+\.\d s", instance.log())
