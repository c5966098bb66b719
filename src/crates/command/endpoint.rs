//! How the table says where an operation is found: over HTTP, and in the console. Pure.

/// How a request is read and answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// What clients of the old system know.
    Api,
    V1,
}

/// Where the input of an operation stands, beside the path and the query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// Nowhere; a body is not looked at.
    Nothing,
    /// In a JSON body.
    Json,
    /// In a body that holds the value of an `Authorization` header.
    Authorization,
    /// In a form (RFC 7662 §2.1), or in a JSON body.
    Form,
    /// The body is a value.
    Value,
}

/// How the answer comes, and the body goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// At once.
    Whole,
    /// The answer has no end: events as they happen.
    Watch,
    /// The answer is lines, page by page.
    Export,
    /// The body is lines, which are executed as they come.
    Import,
}

/// What a member of the query is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Text,
    Number,
    Seconds,
    Flag,
}

/// A method of HTTP and a path that mean an operation, and what the OpenAPI document says of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Endpoint {
    pub method: &'static str,
    /// Without the trailing slash that the old profile allows. `{name}` stands for one segment.
    pub path: &'static str,
    pub profile: Profile,
    pub input: Input,
    pub query: &'static [(&'static str, Kind)],
    pub delivery: Delivery,
    /// The id in the document. If it is empty, the id is the name of the procedure.
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

/// The tags of the document, and what they are about.
pub const TAGS: [(&str, &str); 9] = [
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
        id: "",
        tag: "",
        summary: "",
        description: "",
    }
}

/// A path of the old system, with its id in the document.
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

/// A path of `/v1`. It has no body.
pub const fn get(path: &'static str) -> Endpoint {
    endpoint(Profile::V1, Input::Nothing, "GET", path)
}

/// The same.
pub const fn delete(path: &'static str) -> Endpoint {
    endpoint(Profile::V1, Input::Nothing, "DELETE", path)
}

/// A path of `/v1`, with a JSON body.
pub const fn post(path: &'static str) -> Endpoint {
    endpoint(Profile::V1, Input::Json, "POST", path)
}

/// The same.
pub const fn put(path: &'static str) -> Endpoint {
    endpoint(Profile::V1, Input::Json, "PUT", path)
}

impl Endpoint {
    pub const fn without_body(self) -> Self {
        self.with(Input::Nothing)
    }

    /// Reads the body in another way.
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

    /// Its id in the document, if that is not the name of the procedure.
    pub const fn named(mut self, id: &'static str) -> Self {
        self.id = id;
        self
    }

    /// What the document says of it.
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
    /// What follows `authkv.`, such as `users.get`.
    pub name: &'static str,
    pub caller: Who,
    /// The arguments it takes, or the members of its one argument. If there are none, it passes on all it gets.
    pub arguments: &'static [&'static str],
    /// Whether it takes one table with the arguments as members.
    pub takes_table: bool,
}

/// For whom a function of the console calls the procedure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// `authkv.NAME` for the owner of the instance, and `authkv.as(token).NAME` for the user of the token.
    Owner,
    /// Only `authkv.as(token).NAME`.
    User,
    /// Only `authkv.NAME`, for whom the arguments say.
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
