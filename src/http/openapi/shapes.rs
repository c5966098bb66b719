//! Schemas that are made by hand, because no structure has their form. Pure.

use serde_json::Value;
use utoipa::openapi::schema::{
    AdditionalProperties, ArrayBuilder, KnownFormat, Object, ObjectBuilder, OneOfBuilder, Schema,
    SchemaFormat, SchemaType, Type,
};
use utoipa::openapi::{Content, Ref, RefOr};

/// A schema, or a reference to a named one.
pub type Shape = RefOr<Schema>;

/// A reference to a named schema.
pub fn named(name: &str) -> Shape {
    RefOr::Ref(Ref::from_schema_name(name))
}

/// The contents of a media type: a schema and an example.
pub fn media(schema: Shape, example: Value) -> Content {
    let content = Content::builder().schema(Some(schema));
    content.example(Some(example)).build()
}

/// A schema of a type, to be refined.
pub fn of(kind: Type) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(kind)
}

/// A name that is a segment of a path. Not a dot segment, which clients remove (RFC 3986 §5.2.4).
pub fn segment() -> ObjectBuilder {
    of(Type::String)
        .min_length(Some(1))
        .pattern(Some(r"^(?!\.{1,2}$)"))
}

/// A text, with a description unless `about` is empty.
pub fn text(about: &str) -> Shape {
    described(of(Type::String), about).into()
}

/// Adds a description, unless `about` is empty.
pub fn described(object: ObjectBuilder, about: &str) -> ObjectBuilder {
    object.description((!about.is_empty()).then_some(about))
}

/// A whole number of 64 bits: without the format, generators use 32 bits.
pub fn integer() -> ObjectBuilder {
    of(Type::Integer).format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
}

/// A whole number that is not negative, to be refined.
pub fn count() -> ObjectBuilder {
    integer().minimum(Some(0))
}

/// A whole number of seconds.
pub fn seconds(about: &str) -> Shape {
    count().description(Some(about)).into()
}

pub fn flag(about: &str) -> Shape {
    described(of(Type::Boolean), about).into()
}

/// This text only.
pub fn only(text: &str) -> Shape {
    one_of(&[text]).into()
}

/// `true`. Described in words, because generators know no constant booleans.
pub fn yes() -> Shape {
    flag("Always `true`")
}

/// Any bytes.
pub fn bytes(about: &str) -> Shape {
    let bytes = of(Type::String).format(Some(SchemaFormat::KnownFormat(KnownFormat::Binary)));
    described(bytes, about).into()
}

/// The schema, or null.
pub fn or_null(object: ObjectBuilder) -> Shape {
    let mut object: Object = object.build();
    if let SchemaType::Type(kind) = object.schema_type {
        object.schema_type = SchemaType::from_iter([kind, Type::Null]);
    }
    RefOr::T(object.into())
}

/// An array, to be refined.
pub fn list(items: Shape) -> ArrayBuilder {
    ArrayBuilder::new().items(items)
}

/// One of these named schemas. Generators would invent names for unnamed ones.
pub fn one_named<const N: usize>(names: [&str; N]) -> Shape {
    either("", names.map(named))
}

/// One of these schemas, with a description unless `about` is empty.
pub fn either<const N: usize>(about: &str, shapes: [Shape; N]) -> Shape {
    let one_of = OneOfBuilder::new().description((!about.is_empty()).then_some(about));
    let one_of = shapes.into_iter().fold(one_of, OneOfBuilder::item::<Shape>);
    one_of.into()
}

/// An object with these required members, to be refined.
pub fn object<const N: usize>(about: &str, members: [(&str, Shape); N]) -> ObjectBuilder {
    let object = described(of(Type::Object), about);
    let mut members = members.into_iter();
    members.by_ref().fold(object, |object, (name, shape)| {
        object.property(name, shape).required(name)
    })
}

/// An object with these required members and no others.
pub fn exact<const N: usize>(about: &str, members: [(&str, Shape); N]) -> Shape {
    closed(object(about, members))
}

/// An object with required members, optional members, and no others.
pub fn exact_and<const N: usize, const M: usize>(
    about: &str,
    members: [(&str, Shape); N],
    others: [(&str, Shape); M],
) -> Shape {
    closed(with(object(about, members), others))
}

/// Adds optional members to an object.
pub fn with<const N: usize>(object: ObjectBuilder, others: [(&str, Shape); N]) -> ObjectBuilder {
    others
        .into_iter()
        .fold(object, |object, (name, shape)| object.property(name, shape))
}

/// One of these texts, to be refined.
pub fn one_of(texts: &[&str]) -> ObjectBuilder {
    of(Type::String).enum_values(Some(texts.iter().copied()))
}

/// A revision: a whole number, at least `least`.
pub fn revision(least: usize, about: &str) -> ObjectBuilder {
    // Half of the numbers do not fit into int64.
    let object = of(Type::Integer).format(Some(SchemaFormat::Custom("uint64".to_owned())));
    described(object.minimum(Some(least)).maximum(Some(u64::MAX)), about)
}

/// `true`, `false`, or null if not given.
pub fn flag_or_null(about: &str) -> Shape {
    or_null(described(of(Type::Boolean), about))
}

/// An array, or null if not given.
pub fn list_or_null(list: ArrayBuilder, about: &str) -> Shape {
    let kinds = SchemaType::from_iter([Type::Array, Type::Null]);
    list.schema_type(kinds).description(Some(about)).into()
}

/// Forbids other members.
pub fn closed(object: ObjectBuilder) -> Shape {
    let none = AdditionalProperties::FreeForm(false);
    object.additional_properties(Some(none)).into()
}
