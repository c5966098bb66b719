//! Schemas put together by hand, for what no structure stands for. Pure.

use serde_json::Value;
use utoipa::openapi::schema::{
    AdditionalProperties, ArrayBuilder, Object, ObjectBuilder, OneOfBuilder, Schema, SchemaType,
    Type,
};
use utoipa::openapi::{Ref, RefOr};

/// A schema, or the name of one.
pub type Shape = RefOr<Schema>;

/// One of the schemas that have names.
pub fn named(name: &str) -> Shape {
    RefOr::Ref(Ref::from_schema_name(name))
}

/// A type, to say more about.
pub fn of(kind: Type) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(kind)
}

/// A text, and what it is, where its name does not say that.
pub fn text(about: &str) -> Shape {
    described(of(Type::String), about).into()
}

fn described(object: ObjectBuilder, about: &str) -> ObjectBuilder {
    object.description((!about.is_empty()).then_some(about))
}

/// A whole number that is not negative, to say more about.
pub fn count() -> ObjectBuilder {
    of(Type::Integer).minimum(Some(0))
}

/// Seconds, and of what.
pub fn seconds(about: &str) -> Shape {
    count().description(Some(about)).into()
}

pub fn flag(about: &str) -> Shape {
    described(of(Type::Boolean), about).into()
}

/// Nothing but this.
pub fn only(value: impl Into<Value>) -> Shape {
    let value = value.into();
    let kind = match value {
        Value::Bool(_) => Type::Boolean,
        _ => Type::String,
    };
    of(kind).enum_values(Some([value])).into()
}

/// The same, or null.
pub fn or_null(object: ObjectBuilder) -> Shape {
    let mut object: Object = object.build();
    if let SchemaType::Type(kind) = object.schema_type {
        object.schema_type = SchemaType::from_iter([kind, Type::Null]);
    }
    RefOr::T(object.into())
}

/// An array, to say more about.
pub fn list(items: Shape) -> ArrayBuilder {
    ArrayBuilder::new().items(items)
}

/// One of these.
pub fn either(shapes: impl IntoIterator<Item = Shape>) -> Shape {
    let one_of = shapes
        .into_iter()
        .fold(OneOfBuilder::new(), |one_of, one| one_of.item::<Shape>(one));
    one_of.into()
}

/// An object that has to have these members, to say more about.
pub fn object<const N: usize>(about: &str, members: [(&str, Shape); N]) -> ObjectBuilder {
    let object = described(of(Type::Object), about);
    let mut members = members.into_iter();
    members.by_ref().fold(object, |object, (name, shape)| {
        object.property(name, shape).required(name)
    })
}

/// An object that has these members and no other.
pub fn exact<const N: usize>(about: &str, members: [(&str, Shape); N]) -> Shape {
    let none = AdditionalProperties::FreeForm(false);
    object(about, members)
        .additional_properties(Some(none))
        .into()
}
