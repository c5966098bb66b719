//! Roles and their permissions. Pure.

use super::super::{description::*, shapes::*};
use super::users::{deleted, one_user};
use authkv_base::error::Error;
use authkv_command::{Outcome, RoleList};
use authkv_domain::{Permission, Permissions, Role};
use serde_json::json;
use utoipa::openapi::schema::Type;

const FIXED: Error = Error::BadRole("admin and introspect cannot be changed");

pub fn role_grant(_: &Context<'_>) -> Description {
    let too_many = Error::BadRole("a user may have at most 100 roles");
    one_user("granted", &["shop"], false).fails([Error::NoSuchRole, too_many])
}

pub fn role_revoke(_: &Context<'_>) -> Description {
    // Any name: a role that already exists can be revoked, whatever its name.
    one_user("user", &[], false).in_path(segment())
}

pub fn role_list(_: &Context<'_>) -> Description {
    let default = Role {
        name: "default".to_owned(),
        permissions: vec![Permission::everything()],
    };
    let roles = vec![default, shop()];
    answers::<RoleList>([("roles", Outcome::Roles(RoleList { roles }))])
}

pub fn role_set(context: &Context<'_>) -> Description {
    let limit = context.config.live().limits.key;
    let about = format!(
        "What the keys begin with, at most {limit} bytes of UTF-8; an empty one is for all keys. `{{login}}` is the login of the \
         user, then a character follows that no login has; a brace of a key is doubled"
    );
    let text = |about| -> Shape {
        let text = of(Type::String).max_length(Some(limit));
        or_null(text.description(Some(about)))
    };
    let flag = |about: &str| flag(&format!("{about}; `false` where it is left out"));
    let keyed = [
        ("prefix", text(about)),
        (
            "key",
            text("The only key, instead of `prefix`, in the same form".to_owned()),
        ),
    ];
    let permission = with(of(Type::Object), keyed);
    let flags = [
        ("read", flag("To read")),
        ("write", flag("All of `insert`, `update` and `delete`")),
        ("insert", flag("To make keys that do not exist")),
        ("update", flag("To change values")),
        ("delete", flag("To delete keys, and to let values expire")),
    ];
    let permission = closed(with(permission, flags));
    let permissions = list(named("NewPermission")).max_items(Some(Permissions::MAX));
    let example = json!({"permissions": [
        {"prefix": "shop/", "read": true, "write": true},
        {"prefix": "rates/", "read": true},
    ]});
    answers::<Role>([("set", Outcome::Role(shop()))])
        .body(
            "NewPermissions",
            exact("", [("permissions", permissions.into())]),
            example,
        )
        .with([("NewPermission", permission)])
        .fails([FIXED])
}

pub fn role_delete(_: &Context<'_>) -> Description {
    let kept = Error::BadRole("default cannot be deleted: set it");
    deleted().fails([FIXED, kept, Error::NoSuchRole])
}

fn shop() -> Role {
    let permission = |prefix, write| Permission::of_literal(prefix, true, write);
    Role {
        name: "shop".to_owned(),
        permissions: vec![permission("shop/", true), permission("rates/", false)],
    }
}
