//! What an instance knows of its replica set. Any thread.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

// The doc comments of these types and their members are in the OpenAPI document.

/// A replica set, as the instance that answers sees it
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Cluster {
    /// The instance that answers: its name, or its UUID
    pub instance: String,
    /// Whether it leads
    pub leads: bool,
    /// Who leads; not there if nobody does, or it is not known
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub leader: Option<Leader>,
    /// The part of this instance in elections: `off`, `candidate`, `voter` or `manual`
    pub election_mode: String,
    /// The term of elections; without elections how often the leader has changed
    pub term: u64,
    /// How many instances have to have a synchronous write
    pub quorum: u64,
    /// All instances, in the order of their ids in Tarantool
    pub members: Vec<Member>,
}

/// The instance that leads
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Leader {
    pub name: String,
    pub uuid: String,
    /// Where its HTTP is; null if that is not known
    #[schema(required)]
    pub http: Option<String>,
}

/// An instance of the replica set
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Member {
    pub id: u64,
    pub uuid: String,
    /// The name that it had when it led last, or its UUID
    pub name: String,
    /// Whether it leads
    pub leads: bool,
    /// How its changes come: `self`, or Tarantool's word, such as `follow`; null if they do not
    #[schema(required)]
    pub status: Option<String>,
    /// Seconds between a change there and its arrival; null if no changes come from there
    #[schema(required)]
    pub lag: Option<f64>,
    /// Seconds since anything was heard from it; null as before
    #[schema(required)]
    pub idle: Option<f64>,
}
