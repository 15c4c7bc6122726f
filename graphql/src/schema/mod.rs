//! The GraphQL schema: one file a subject. `schema.graphql` at the top of the project is its
//! export.

mod alert_subscriptions;
pub(crate) mod complexity;
mod coverage;
mod deliveries;
mod errors;
mod gaps;
mod guard;
mod job_runs;
mod jumps;
mod lake;
mod loaders;
mod metrics;
mod node;
mod paging;
mod ranking;
mod rule_input;
mod scalars;
mod subscription_root;
mod timeseries;

use std::collections::BTreeSet;
use std::sync::Arc;

use async_graphql::parser::parse_schema;
use async_graphql::parser::types::{TypeKind, TypeSystemDefinition};
use async_graphql::{
    MergedObject, MergedSubscription, SDLExportOptions, SchemaBuilder, ValidationMode,
};

use complexity::ComplexityRecorder;
pub(crate) use loaders::Loaders;
use marketlake_http::state::AppState;
use paging::Page;

/// Levels of fields. Tools that read the schema nest 15: types, fields, arguments, and nine
/// wrappers of a type.
const MAX_DEPTH: usize = 16;
/// Fields in all, those of a page counted once a row.
const MAX_COMPLEXITY: usize = 50_000;
const MAX_DIRECTIVES: usize = 20;

/// The schema over a lake.
pub type Schema = async_graphql::Schema<Query, Mutation, SubscriptionRoot>;

/// Queries.
#[derive(MergedObject, Default)]
pub struct Query(
    metrics::MetricsQuery,
    timeseries::TimeseriesQuery,
    ranking::RankingQuery,
    jumps::JumpsQuery,
    lake::LakeQuery,
    job_runs::JobRunsQuery,
    coverage::CoverageQuery,
    gaps::GapsQuery,
    alert_subscriptions::SubscriptionsQuery,
    deliveries::DeliveriesQuery,
    node::NodeQuery,
);

/// Mutations.
#[derive(MergedObject, Default)]
pub struct Mutation(
    alert_subscriptions::SubscriptionsMutation,
    deliveries::DeliveriesMutation,
);

/// Live updates, pushed to the client.
#[derive(MergedSubscription, Default)]
#[graphql(name = "Subscription")]
pub struct SubscriptionRoot(subscription_root::LiveSubscription);

fn builder() -> SchemaBuilder<Query, Mutation, SubscriptionRoot> {
    Schema::build(
        Query::default(),
        Mutation::default(),
        SubscriptionRoot::default(),
    )
    .limit_depth(MAX_DEPTH)
    .limit_complexity(MAX_COMPLEXITY)
    .limit_directives(MAX_DIRECTIVES)
    .override_output_type_description::<Page<metrics::Metric>>("A page of metrics.")
    .override_output_type_description::<Page<timeseries::Sample>>("A page of samples.")
    .override_output_type_description::<Page<ranking::Rank>>("A page of places.")
    .override_output_type_description::<Page<jumps::Jump>>("A page of jumps.")
    .override_output_type_description::<Page<job_runs::JobRun>>("A page of runs of jobs.")
    .override_output_type_description::<Page<lake::Segment>>("A page of segments.")
    .override_output_type_description::<Page<gaps::Gap>>("A page of gaps.")
}

/// The schema that tells whether a document is right and what it costs; it answers nothing.
pub(crate) fn validation_schema() -> Schema {
    builder().extension(ComplexityRecorder).finish()
}

/// Builds the schema that executes documents, which were validated before.
pub(crate) fn build(state: AppState) -> Schema {
    builder()
        .validation_mode(ValidationMode::Fast)
        .data(Arc::clone(&state.lake))
        .data(state)
        .finish()
}

/// The schema as text, in the schema definition language.
#[must_use]
pub fn sdl() -> String {
    let options = SDLExportOptions::new().include_specified_by();
    builder().finish().sdl_with_options(options)
}

/// Every field of every type, as `Type.field`.
#[must_use]
pub fn fields() -> BTreeSet<String> {
    let Ok(document) = parse_schema(sdl()) else {
        return BTreeSet::new();
    };
    let mut fields = BTreeSet::new();
    for definition in document.definitions {
        if let TypeSystemDefinition::Type(definition) = definition
            && let TypeKind::Object(object) = definition.node.kind
        {
            let name = definition.node.name.node;
            let own = object
                .fields
                .iter()
                .map(|field| field.node.name.node.clone());
            fields.extend(own.map(|field| format!("{name}.{field}")));
        }
    }
    fields
}
