//! Schemas put together by hand, for what no structure stands for. Pure.

use serde_json::Value;
use utoipa::openapi::schema::{
    AdditionalProperties, ArrayBuilder, KnownFormat, Object, ObjectBuilder, OneOfBuilder, Schema,
    SchemaFormat, SchemaType, Type,
};
use utoipa::openapi::{Content, Ref, RefOr};

/// A schema, or the name of one.
pub type Shape = RefOr<Schema>;

/// One of the schemas that have names.
pub fn named(name: &str) -> Shape {
    RefOr::Ref(Ref::from_schema_name(name))
}

/// What a media type has: a schema, and an example.
pub fn media(schema: Shape, example: Value) -> Content {
    let content = Content::builder().schema(Some(schema));
    content.example(Some(example)).build()
}

/// A type, to say more about.
pub fn of(kind: Type) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(kind)
}

/// A name that is a segment of a path: not a dot segment, which clients take out of it (RFC 3986 §5.2.4).
pub fn segment() -> ObjectBuilder {
    of(Type::String)
        .min_length(Some(1))
        .pattern(Some(r"^(?!\.{1,2}$)"))
}

/// A text, and what it is, where its name does not say that.
pub fn text(about: &str) -> Shape {
    described(of(Type::String), about).into()
}

/// The same, and what it is, where that is said.
pub fn described(object: ObjectBuilder, about: &str) -> ObjectBuilder {
    object.description((!about.is_empty()).then_some(about))
}

/// A whole number. With the format, since generators make it one of 32 bits where there is none.
pub fn integer() -> ObjectBuilder {
    of(Type::Integer).format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
}

/// A whole number that is not negative, to say more about.
pub fn count() -> ObjectBuilder {
    integer().minimum(Some(0))
}

/// Seconds, and of what.
pub fn seconds(about: &str) -> Shape {
    count().description(Some(about)).into()
}

pub fn flag(about: &str) -> Shape {
    described(of(Type::Boolean), about).into()
}

/// Nothing but this text.
pub fn only(text: &str) -> Shape {
    one_of(&[text]).into()
}

/// `true`, always. Generators know no other kind of boolean than the one that may be either.
pub fn yes() -> Shape {
    flag("Always `true`")
}

/// Bytes, whatever they are.
pub fn bytes(about: &str) -> Shape {
    let bytes = of(Type::String).format(Some(SchemaFormat::KnownFormat(KnownFormat::Binary)));
    described(bytes, about).into()
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

/// One of those that have these names. Generators give names of their own to what has none.
pub fn one_named<const N: usize>(names: [&str; N]) -> Shape {
    either(names.map(named))
}

/// One of these.
pub fn either<const N: usize>(shapes: [Shape; N]) -> Shape {
    one(shapes).into()
}

/// The same, and what it is.
pub fn either_of<const N: usize>(about: &str, shapes: [Shape; N]) -> Shape {
    one(shapes).description(Some(about)).into()
}

fn one<const N: usize>(shapes: [Shape; N]) -> OneOfBuilder {
    shapes
        .into_iter()
        .fold(OneOfBuilder::new(), |one_of, one| one_of.item::<Shape>(one))
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
    closed(object(about, members))
}

/// An object that has these members, may have those, and has no other.
pub fn exact_and<const N: usize, const M: usize>(
    about: &str,
    members: [(&str, Shape); N],
    others: [(&str, Shape); M],
) -> Shape {
    closed(with(object(about, members), others))
}

/// An object that may have these members too.
pub fn with<const N: usize>(object: ObjectBuilder, others: [(&str, Shape); N]) -> ObjectBuilder {
    others
        .into_iter()
        .fold(object, |object, (name, shape)| object.property(name, shape))
}

/// One of these texts, to say more about.
pub fn one_of(texts: &[&str]) -> ObjectBuilder {
    of(Type::String).enum_values(Some(texts.iter().copied()))
}

/// A whole number as pairs have it, from `least` on.
pub fn revision(least: usize, about: &str) -> ObjectBuilder {
    // Half of them are beyond int64.
    let object = of(Type::Integer).format(Some(SchemaFormat::Custom("uint64".to_owned())));
    described(object.minimum(Some(least)).maximum(Some(u64::MAX)), about)
}

/// `true`, `false`, or null for neither.
pub fn flag_or_null(about: &str) -> Shape {
    or_null(described(of(Type::Boolean), about))
}

/// An array, or null for none.
pub fn list_or_null(list: ArrayBuilder, about: &str) -> Shape {
    let kinds = SchemaType::from_iter([Type::Array, Type::Null]);
    list.schema_type(kinds).description(Some(about)).into()
}

/// An object without other members.
pub fn closed(object: ObjectBuilder) -> Shape {
    let none = AdditionalProperties::FreeForm(false);
    object.additional_properties(Some(none)).into()
}
