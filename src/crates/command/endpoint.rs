//! The parts of the table that say where an operation is found: over HTTP and in the console. Pure.

/// The rules for reading and answering a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// The rules of the old system.
    Api,
    V1,
}

/// Where the input of an operation comes from, in addition to the path and the query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// Nowhere. A body is ignored.
    Nothing,
    /// A JSON body.
    Json,
    /// A body with the value of an `Authorization` header.
    Authorization,
    /// A form (RFC 7662 §2.1) or a JSON body.
    Form,
    /// The body is the value itself.
    Value,
}

/// How the body and the answer are transferred.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// All at once.
    Whole,
    /// The answer is an endless stream of events.
    Watch,
    /// The answer is lines, sent page by page.
    Export,
    /// The body is lines. Each is executed when it arrives.
    Import,
}

/// The type of a member of the query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Text,
    Number,
    Seconds,
    Flag,
}

/// A method and a path of HTTP for an operation, and its text in the OpenAPI document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Endpoint {
    pub method: &'static str,
    /// Without the trailing slash that the profile `Api` allows. `{name}` stands for one segment.
    pub path: &'static str,
    pub profile: Profile,
    pub input: Input,
    pub query: &'static [(&'static str, Kind)],
    pub delivery: Delivery,
    /// The status of a success, unless the outcome says another one.
    pub status: u16,
    /// The id in the OpenAPI document. If empty, it is the name of the procedure.
    pub id: &'static str,
    /// One of [`TAGS`].
    pub tag: &'static str,
    pub summary: &'static str,
    pub description: &'static str,
}

pub const OLD: &str = "authorization";
pub const PAIRS: &str = "key-value";
pub const ONE: &str = "one key";
pub const CHANGES: &str = "changes";
pub const BULK: &str = "import and export";
pub const SESSIONS: &str = "sessions";
pub const USERS: &str = "users";
pub const ROLES: &str = "roles";
pub const KEYS: &str = "keys";
pub const SERVER: &str = "server";
pub const QUOTAS: &str = "quotas";
pub const API_KEYS: &str = "API keys";

/// The tags of the OpenAPI document, with their descriptions.
pub const TAGS: [(&str, &str); 12] = [
    (OLD, "Users and their tokens, as in the old services"),
    (PAIRS, "Many keys at once"),
    (
        ONE,
        "A key as a resource of HTTP: its value is the body, its revision the entity tag",
    ),
    (CHANGES, "What happens to pairs, as it happens"),
    (BULK, "All pairs, as lines of JSON"),
    (
        SESSIONS,
        "Access tokens, and refresh tokens that are good once",
    ),
    (
        USERS,
        "What is the user's own, and the administration of users",
    ),
    (ROLES, "Who may read and write which keys"),
    (KEYS, "The keys that sign tokens"),
    (SERVER, "The instance itself"),
    (QUOTAS, "How much may be stored below prefixes of keys"),
    (API_KEYS, "Secrets of programs, in place of access tokens"),
];

const fn endpoint(
    profile: Profile,
    input: Input,
    method: &'static str,
    path: &'static str,
) -> Endpoint {
    Endpoint {
        method,
        path,
        profile,
        input,
        query: &[],
        delivery: Delivery::Whole,
        status: 200,
        id: "",
        tag: "",
        summary: "",
        description: "",
    }
}

/// A path of the old system, with its id in the OpenAPI document.
pub const fn old(
    id: &'static str,
    method: &'static str,
    path: &'static str,
    input: Input,
) -> Endpoint {
    let mut old = endpoint(Profile::Api, input, method, path);
    old.id = id;
    old
}

/// A path of `/v1` without a body.
pub const fn get(path: &'static str) -> Endpoint {
    endpoint(Profile::V1, Input::Nothing, "GET", path)
}

/// A path of `/v1` without a body.
pub const fn delete(path: &'static str) -> Endpoint {
    endpoint(Profile::V1, Input::Nothing, "DELETE", path)
}

/// A path of `/v1` with a JSON body.
pub const fn post(path: &'static str) -> Endpoint {
    endpoint(Profile::V1, Input::Json, "POST", path)
}

/// A path of `/v1` with a JSON body.
pub const fn put(path: &'static str) -> Endpoint {
    endpoint(Profile::V1, Input::Json, "PUT", path)
}

impl Endpoint {
    pub const fn without_body(self) -> Self {
        self.with(Input::Nothing)
    }

    /// Changes where the input comes from.
    pub const fn with(mut self, input: Input) -> Self {
        self.input = input;
        self
    }

    pub const fn with_query(mut self, query: &'static [(&'static str, Kind)]) -> Self {
        self.query = query;
        self
    }

    pub const fn delivered(mut self, delivery: Delivery) -> Self {
        self.delivery = delivery;
        self
    }

    /// A success creates something.
    pub const fn creating(mut self) -> Self {
        self.status = 201;
        self
    }

    /// Sets the id in the OpenAPI document, if it is not the name of the procedure.
    pub const fn named(mut self, id: &'static str) -> Self {
        self.id = id;
        self
    }

    /// Sets the text in the OpenAPI document.
    pub const fn says(
        mut self,
        tag: &'static str,
        summary: &'static str,
        description: &'static str,
    ) -> Self {
        self.tag = tag;
        self.summary = summary;
        self.description = description;
        self
    }
}

/// A function of the console.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Function {
    /// The name after `authkv.`, such as `users.get`.
    pub name: &'static str,
    pub caller: Who,
    /// The names of the arguments, or of the members of the one table argument. If empty, all arguments are passed on.
    pub arguments: &'static [&'static str],
    /// Whether the function takes one table whose members are the arguments.
    pub takes_table: bool,
}

/// The caller for whom a function of the console calls the procedure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// `authkv.NAME` for the owner of the instance, and `authkv.as(token).NAME` for the user of the token.
    Owner,
    /// Only `authkv.as(token).NAME`.
    User,
    /// Only `authkv.NAME`. The arguments say who the caller is.
    Anyone,
}

impl Who {
    /// Its name on the Lua side.
    pub const fn name(self) -> &'static str {
        match self {
            Who::Owner => "owner",
            Who::User => "user",
            Who::Anyone => "anyone",
        }
    }
}

pub const fn owner(name: &'static str) -> Function {
    Function {
        name,
        caller: Who::Owner,
        arguments: &[],
        takes_table: false,
    }
}

pub const fn user(name: &'static str) -> Function {
    Function {
        caller: Who::User,
        ..owner(name)
    }
}

pub const fn anyone(name: &'static str, arguments: &'static [&'static str]) -> Function {
    Function {
        caller: Who::Anyone,
        arguments,
        ..owner(name)
    }
}

impl Function {
    /// Takes one table with these members instead of arguments.
    pub const fn taking(mut self, members: &'static [&'static str]) -> Self {
        self.arguments = members;
        self.takes_table = true;
        self
    }
}
