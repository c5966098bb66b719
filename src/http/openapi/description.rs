//! The parts of the description of an operation. Pure.

use super::shapes::{media, named, Shape};
use authkv_base::error::Error;
use authkv_command::Outcome;
use authkv_config::{Config, HttpConfig};
use authkv_wire::routes::Route;
use serde_json::Value;
use utoipa::openapi::path::{Parameter, ParameterBuilder};
use utoipa::openapi::request_body::{RequestBody, RequestBodyBuilder};
use utoipa::openapi::schema::ObjectBuilder;
use utoipa::openapi::Required;
use utoipa::ToSchema;

/// What a description depends on: the route, and the settings of the instance.
pub struct Context<'a> {
    pub route: &'a Route,
    pub config: &'a Config,
    pub http: &'a HttpConfig,
}

/// What the document says of a route, besides the words in the table of operations.
#[derive(Default)]
pub struct Description {
    pub body: Option<RequestBody>,
    /// All successes, with the names of the examples. The code renders them, so they are what clients get.
    pub answers: Vec<(&'static str, Outcome)>,
    /// The schema of a success.
    pub success: Shape,
    /// The failures of this operation only.
    pub failures: Vec<Error>,
    /// Whether the operation writes nothing, although it is in a lane of writers.
    pub only_reads: bool,
    /// The schema of the name in the path, if it is not the usual one.
    pub in_path: Option<Shape>,
    /// The members of the query, then the header fields.
    pub parameters: Vec<Parameter>,
    /// The schemas that are used, by name.
    pub schemas: Vec<(String, Shape)>,
}

/// Describes answers of a type that derives its schema.
pub fn answers<T: ToSchema>(examples: impl Into<Vec<(&'static str, Outcome)>>) -> Description {
    let mut described = answers_of(&T::name(), T::schema(), examples);
    T::schemas(&mut described.schemas);
    described
}

/// Describes answers of a form that no type has.
pub fn answers_of(
    name: &str,
    shape: Shape,
    examples: impl Into<Vec<(&'static str, Outcome)>>,
) -> Description {
    Description {
        answers: examples.into(),
        success: named(name),
        schemas: vec![(name.to_owned(), shape)],
        ..Description::default()
    }
}

impl Description {
    /// A JSON body. Its schema gets this name, because generators would invent one.
    pub fn body(self, name: &str, shape: Shape, example: Value) -> Self {
        // Only JSON. The form of RFC 7662 §2.1 is left out, because generators write wrong code for two types.
        let body = RequestBodyBuilder::new()
            .required(Some(Required::True))
            .content("application/json", media(named(name), example));
        Self {
            body: Some(body.build()),
            ..self.with([(name, shape)])
        }
    }

    /// The body may be left out.
    pub fn optional(mut self) -> Self {
        if let Some(body) = &mut self.body {
            body.required = Some(Required::False);
        }
        self
    }

    pub fn fails(mut self, failures: impl IntoIterator<Item = Error>) -> Self {
        self.failures.extend(failures);
        self
    }

    pub fn only_reads(self) -> Self {
        Self {
            only_reads: true,
            ..self
        }
    }

    /// The schema of the name in the path.
    pub fn in_path(self, shape: ObjectBuilder) -> Self {
        Self {
            in_path: Some(shape.into()),
            ..self
        }
    }

    pub fn parameters(mut self, parameters: impl IntoIterator<Item = ParameterBuilder>) -> Self {
        let parameters = parameters.into_iter().map(ParameterBuilder::build);
        self.parameters.extend(parameters);
        self
    }

    /// Adds schemas that others use.
    pub fn with<const N: usize>(mut self, schemas: [(&str, Shape); N]) -> Self {
        let schemas = schemas.map(|(name, shape)| (name.to_owned(), shape));
        self.schemas.extend(schemas);
        self
    }
}
