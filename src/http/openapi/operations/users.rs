//! Users, and what is a user's own. Pure.

use super::super::{description::*, failures::*, parameters::*, shapes::*};
use super::sessions::{revoked, secret, TIME};
use authkv_base::error::{Error, NAME_LETTERS};
use authkv_command::{
    Done, OneTimeToken, Outcome, Registered, UserPage, VerificationToken, VerifiedEmail, ROLES_MAX,
};
use authkv_domain::{Class, LoginForm, NameForm, Permission, User};
use serde_json::{json, Value};
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::openapi::RefOr;
use utoipa::PartialSchema;

const COMMON: &str = "it is one of the most common ones";

pub fn user_register(context: &Context<'_>) -> Description {
    let login = "alice".to_owned();
    answers::<Registered>([("registered", Outcome::Registered(Registered { login }))])
        .body("Registration", closed(chosen_person(context)), alice())
        .fails(registration(COMMON).map(Error::in_plain_words))
}

pub fn user_me(_: &Context<'_>) -> Description {
    let permissions = vec![Permission::everything()];
    let user = user(&[], false);
    let about = "What the roles give, that of the role `default` included";
    let list = list(named("Permission")).description(Some(about));
    let mut me = User::schema();
    if let RefOr::T(Schema::Object(me)) = &mut me {
        me.description = Some("The user of the token".to_owned());
        me.properties.insert("permissions".to_owned(), list.into());
        me.required.push("permissions".to_owned());
    }
    let me = answers_of("Me", me, [("me", Outcome::Me { user, permissions })]);
    me.with([("Permission", Permission::schema())])
}

pub fn user_password(context: &Context<'_>) -> Description {
    let members = [
        ("old_password", secret().into()),
        ("new_password", password(context)),
    ];
    let example = json!({"old_password": "Correct-h0rse", "new_password": "Battery-stap1e"});
    changed()
        .body("PasswordChange", exact("", members), example)
        .fails([Error::InvalidCredentials, ATTEMPTS])
}

pub fn user_rename(context: &Context<'_>) -> Description {
    let name = || person_name(context.config.name_form);
    let members = [("name", name()), ("surname", name())];
    let example = json!({"name": "Alice", "surname": "Smith"});
    let mut described = one_user("user", &[], false);
    described.failures.clear();
    described
        .body("Names", exact("", members), example)
        .fails([Error::BadPersonName(NAME_LETTERS).in_plain_words()])
}

pub fn user_delete_own(_: &Context<'_>) -> Description {
    let body = exact("", [("password", secret().into())]);
    deleted()
        .body("OwnPassword", body, json!({"password": "Correct-h0rse"}))
        .fails([Error::InvalidCredentials, ATTEMPTS])
}

pub fn user_reset_token(_: &Context<'_>) -> Description {
    let made = Outcome::OneTime(OneTimeToken {
        reset_token: "AAAAAGtJ0gAABl8Q…".to_owned(),
        expires_at: TIME + 3600,
    });
    one_time(answers::<OneTimeToken>([("made", made)]))
}

pub fn user_verification_token(_: &Context<'_>) -> Description {
    let made = Outcome::Verification(VerificationToken {
        verification_token: "AAAAAGtJ0gAABl8Q…".to_owned(),
        expires_at: TIME + 3600,
    });
    one_time(answers::<VerificationToken>([("made", made)]))
        .fails([Error::BadLogin("it is no e-mail address")])
}

/// What the two ways to make a one-time token have in common.
fn one_time(answers: Description) -> Description {
    let ttl = count().minimum(Some(1)).maximum(Some(604_800));
    let ttl = ttl.description(Some(
        "Seconds that the token lives; an hour if it is left out",
    ));
    answers
        .body(
            "OneTimeRequest",
            exact_and("", [], [("ttl", or_null(ttl))]),
            json!({"ttl": 3600}),
        )
        .optional()
        .only_reads()
        .fails([
            Error::NoSuchUser,
            Error::BadOption {
                name: "ttl",
                allowed: "from 1 to 604800 seconds",
            },
        ])
}

pub fn user_verify_email(_: &Context<'_>) -> Description {
    let verified = Outcome::EmailVerified(VerifiedEmail {
        login: "alice@example.com".to_owned(),
        email_verified: true,
    });
    let members = [("verification_token", text("The one-time token"))];
    let example = json!({"verification_token": "AAAAAGtJ0gAABl8Q…"});
    answers::<VerifiedEmail>([("verified", verified)])
        .body("EmailVerification", exact("", members), example)
        .fails([Error::InvalidOneTimeToken])
}

pub fn user_reset_password(context: &Context<'_>) -> Description {
    let members = [
        ("reset_token", text("The one-time token")),
        ("password", password(context)),
    ];
    let example = json!({"reset_token": "AAAAAGtJ0gAABl8Q…", "password": "Battery-stap1e"});
    changed()
        .body("PasswordReset", exact("", members), example)
        .fails([Error::InvalidOneTimeToken])
}

pub fn user_list(_: &Context<'_>) -> Description {
    let page = |next| {
        let users = vec![user(&[], false)];
        Outcome::Users(UserPage { users, next })
    };
    let about = "The list begins after this login, which need not exist: what the list before said as `next`";
    answers::<UserPage>([
        ("more", page(Some("alice".to_owned()))),
        ("the_last", page(None)),
    ])
    .parameters([query("after", about, of(Type::String)), limit()])
    .fails([BAD_LIMIT])
}

pub fn user_get(_: &Context<'_>) -> Description {
    one_user("user", &[], false)
}

pub fn user_create(context: &Context<'_>) -> Description {
    let roles = list(segment().into()).max_items(Some(ROLES_MAX));
    let roles = list_or_null(roles, "Names of roles that exist");
    let body = closed(with(chosen_person(context), [("roles", roles)]));
    let mut example = alice();
    example["roles"] = json!(["introspect"]);
    let created = user(&["introspect"], false);
    answers::<User>([("created", Outcome::User(created))])
        .body("NewUser", body, example)
        .fails(registration(COMMON).map(Error::in_plain_words))
        .fails([Error::NoSuchRole])
}

pub fn user_delete(_: &Context<'_>) -> Description {
    deleted().fails([Error::NoSuchUser])
}

pub fn user_disable(_: &Context<'_>) -> Description {
    one_user("disabled", &[], true)
}

pub fn user_enable(_: &Context<'_>) -> Description {
    one_user("user", &[], false)
}

pub fn user_logout(_: &Context<'_>) -> Description {
    revoked("logged_out").fails([Error::NoSuchUser])
}

pub fn user_set_password(context: &Context<'_>) -> Description {
    let example = json!({"password": "Battery-stap1e"});
    changed()
        .body(
            "NewPassword",
            exact("", [("password", password(context))]),
            example,
        )
        .fails([Error::NoSuchUser])
}

/// One user who exists.
pub fn one_user(example: &'static str, roles: &[&str], disabled: bool) -> Description {
    answers::<User>([(example, Outcome::User(user(roles, disabled)))]).fails([Error::NoSuchUser])
}

pub fn deleted() -> Description {
    let shape = exact("Done", [("deleted", yes())]);
    answers_of(
        "Deleted",
        shape,
        [("deleted", Outcome::Done(Done::Deleted))],
    )
}

fn changed() -> Description {
    let shape = exact("Done", [("changed", yes())]);
    answers_of(
        "Changed",
        shape,
        [("changed", Outcome::Done(Done::Changed))],
    )
    .fails([Error::BadPassword(COMMON.into())])
}

fn user(roles: &[&str], disabled: bool) -> User {
    User {
        login: "alice".to_owned(),
        name: "Alice".to_owned(),
        surname: "Smith".to_owned(),
        created_at: Some(TIME),
        disabled,
        roles: roles.iter().map(|role| (*role).to_owned()).collect(),
        email_verified: false,
    }
}

pub fn alice() -> Value {
    json!({"login": "alice", "password": "Correct-h0rse", "name": "Alice", "surname": "Smith"})
}

/// A registration, to be refined.
/// A new user by the rules of the contract.
pub fn person(context: &Context<'_>) -> ObjectBuilder {
    person_with(context, LoginForm::Contract, NameForm::Contract)
}

/// A new user by the rules that the settings choose.
fn chosen_person(context: &Context<'_>) -> ObjectBuilder {
    let config = context.config;
    person_with(context, config.login_form, config.name_form)
}

fn person_with(context: &Context<'_>, login: LoginForm, name: NameForm) -> ObjectBuilder {
    let login = match login {
        LoginForm::Contract => of(Type::String)
            .min_length(Some(2))
            .max_length(Some(64))
            .pattern(Some("^[A-Za-z0-9]*$")),
        LoginForm::Email => of(Type::String)
            .max_length(Some(254))
            .description(Some("An e-mail address in ASCII, compared without case")),
    };
    let name = person_name(name);
    let members = [
        ("login", login.into()),
        ("password", password(context)),
        ("name", name.clone()),
        ("surname", name),
    ];
    object("A new user", members)
}

/// A name or a surname.
fn person_name(form: NameForm) -> Shape {
    match form {
        NameForm::Contract => of(Type::String)
            .min_length(Some(2))
            .max_length(Some(32))
            .pattern(Some("^-*[A-Za-z][A-Za-z-]*$"))
            .description(Some("ASCII letters and hyphens, not only hyphens"))
            .into(),
        // The lengths are those in NFC, and the pattern of letters is not the same in every language.
        NameForm::Unicode => {
            text("1 to 64 letters of any script, and between them what names have; kept in NFC")
        }
    }
}

/// A new password, with the rules of this instance.
fn password(context: &Context<'_>) -> Shape {
    let live = context.config.live();
    let rules = &live.password_rules;
    let (mut pattern, mut names) = ("^".to_owned(), Vec::new());
    for class in &rules.classes {
        let (name, characters) = match class {
            Class::Lower => ("of a-z", "a-z"),
            Class::Upper => ("of A-Z", "A-Z"),
            Class::Digit => ("of 0-9", "0-9"),
            Class::Special => ("of `!@#$%^&*()_+-=/.,`", r"!@#$%^&*()_+\-=/.,"),
        };
        pattern.push_str(&format!(r"(?=[\s\S]*[{characters}])"));
        names.push(name);
    }
    let mut about = match &*names {
        [] => String::new(),
        names => format!(
            "At least one {}; other characters are allowed too. ",
            names.join(", one ")
        ),
    };
    about.push_str("Under `/v1` it may not be one of the most common ones");
    secret()
        .min_length(Some(rules.min))
        .max_length(Some(rules.max))
        .pattern((!names.is_empty()).then_some(pattern))
        .description(Some(about))
        .into()
}
