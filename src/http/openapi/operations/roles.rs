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
    let limit = context.config.limits.key;
    let about = format!(
        "What the keys begin with, at most {limit} bytes of UTF-8; an empty one is for all keys"
    );
    let prefix = of(Type::String).max_length(Some(limit));
    let prefix = prefix.description(Some(about));
    let flag = || flag("`false` where it is left out");
    let permission = object("", [("prefix", prefix.into())]);
    let permission = closed(with(permission, [("read", flag()), ("write", flag())]));
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
    deleted().fails([FIXED, Error::NoSuchRole])
}

fn shop() -> Role {
    let permission = |prefix, write| Permission::of_literal(prefix, true, write);
    Role {
        name: "shop".to_owned(),
        permissions: vec![permission("shop/", true), permission("rates/", false)],
    }
}
