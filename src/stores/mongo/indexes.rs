//! The indexes: what makes a name, a token and a session unique, what finds them, and what lets
//! the server remove what has ended.
//!
//! Flask-Sentinel made none, so an old database may hold duplicates. They are named and left as
//! they are: which of them to keep is for a person to decide.

use std::time::Duration;

use futures_util::TryStreamExt;
use mongodb::IndexModel;
use mongodb::bson::{Bson, Document, doc};
use mongodb::options::IndexOptions;

use crate::stores::error::OpenError;

use super::documents::ended_round::{is_unpublished, unpublished_in_order};
use super::{DUPLICATE_KEY, Documents, MongoStore, STORE, error_code};

/// Building an index over an old, large collection takes its time.
const BUILD_DEADLINE: Duration = Duration::from_mins(10);
/// How many duplicated values an error names.
const MOST_EXAMPLES: usize = 5;

/// Fields that must be unique together, and how to tell people of those that are not.
struct Unique {
    fields: &'static [&'static str],
    /// Index only documents where this field is a string.
    only_where_text: Option<&'static str>,
    /// Fields that may be shown; a token is none of them.
    shown: &'static [&'static str],
    /// Which of the duplicates comes first, so that it can be named as the one to keep.
    order: Option<&'static str>,
    advice: &'static str,
}

const FIRST_STORED: &str = "Flask-Sentinel only ever used the first of them; remove the others";
const NEWEST: &str = "keep the newest `expires`; remove the others";

const USERS: [Unique; 1] = [Unique {
    fields: &["username"],
    only_where_text: None,
    shown: &["username"],
    order: None,
    advice: FIRST_STORED,
}];

const CLIENTS: [Unique; 1] = [Unique {
    fields: &["client_id"],
    only_where_text: None,
    shown: &["client_id"],
    order: None,
    advice: FIRST_STORED,
}];

const TOKENS: [Unique; 3] = [
    Unique {
        fields: &["access_token"],
        only_where_text: None,
        shown: &["client_id", "user_id"],
        order: Some("expires"),
        advice: NEWEST,
    },
    Unique {
        fields: &["refresh_token"],
        only_where_text: Some("refresh_token"),
        shown: &["client_id", "user_id"],
        order: Some("expires"),
        advice: NEWEST,
    },
    // `session` is absent but where a client has several of one user, or its own tokens.
    Unique {
        fields: &["client_id", "user_id", "session"],
        only_where_text: None,
        shown: &["client_id", "user_id"],
        order: Some("expires"),
        advice: NEWEST,
    },
];

/// Creates every index that is not there yet.
pub(super) async fn create(store: &MongoStore) -> Result<(), OpenError> {
    create_in(&store.users, &USERS, Vec::new()).await?;
    create_in(&store.clients, &CLIENTS, Vec::new()).await?;
    let of_tokens = vec![
        finding_sparse("rotated_from.refresh_token"),
        finding_sparse("family"),
        finding_in_order(&["expires", "_id"]),
        finding_in_order(&["user_id", "_id"]),
        finding_in_order(&["client_id", "_id"]),
        expiring("purge_at"),
    ];
    create_in(&store.tokens, &TOKENS, of_tokens).await?;
    let of_ends = vec![
        finding_sparse("ends.refresh_token"),
        finding_in_order(&["expires", "_id"]),
        finding_unpublished(),
        expiring("forget_at"),
    ];
    create_in(&store.ended_tokens, &[], of_ends).await?;
    create_in(&store.attempts, &[], vec![expiring("ends_at")]).await
}

async fn create_in(
    collection: &Documents,
    uniques: &[Unique],
    mut models: Vec<IndexModel>,
) -> Result<(), OpenError> {
    models.extend(uniques.iter().map(Unique::model));
    let created = collection.create_indexes(models).into_future();
    let name = collection.name();
    match tokio::time::timeout(BUILD_DEADLINE, created).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) if error_code(&error) == Some(DUPLICATE_KEY) => {
            Err(duplicates(collection, uniques).await)
        }
        Ok(Err(error)) => Err(OpenError::Unusable(format!(
            "the indexes of the {STORE} collection {name} cannot be created: {error}"
        ))),
        Err(_) => Err(OpenError::Unusable(format!(
            "the indexes of the {STORE} collection {name} were not built within {} s",
            BUILD_DEADLINE.as_secs()
        ))),
    }
}

impl Unique {
    fn model(&self) -> IndexModel {
        let filter = self
            .only_where_text
            .map(|field| doc! { field: { "$type": "string" } });
        let options = IndexOptions::builder()
            .unique(true)
            .partial_filter_expression(filter);
        let keys = self
            .fields
            .iter()
            .map(|field| ((*field).to_owned(), 1.into()));
        IndexModel::builder()
            .keys(keys.collect::<Document>())
            .options(options.build())
            .build()
    }

    /// Groups the documents by the fields and gives the groups of more than one.
    fn pipeline(&self) -> Vec<Document> {
        let mut stages = Vec::new();
        if let Some(field) = self.only_where_text {
            stages.push(doc! { "$match": { field: { "$type": "string" } } });
        }
        if let Some(field) = self.order {
            stages.push(doc! { "$sort": { field: -1 } });
        }
        let mut key = Document::new();
        for field in self.fields {
            key.insert(*field, format!("${field}"));
        }
        let mut group = doc! { "_id": key, "count": { "$sum": 1 }, "keep": { "$first": "$_id" } };
        for field in self.shown {
            group.insert(*field, doc! { "$first": format!("${field}") });
        }
        stages.push(doc! { "$group": group });
        stages.push(doc! { "$match": { "count": { "$gt": 1 } } });
        stages.push(doc! { "$project": { "_id": 0 } });
        stages
    }

    fn describe(&self, example: &Document) -> String {
        let shown: Vec<String> = self
            .shown
            .iter()
            .map(|field| format!("{field} {}", example.get(*field).unwrap_or(&Bson::Null)))
            .collect();
        let count = example.get("count").unwrap_or(&Bson::Null);
        let keep = example.get("keep").unwrap_or(&Bson::Null);
        format!("{} ({count} documents, keep _id {keep})", shown.join(", "))
    }
}

fn finding_sparse(field: &str) -> IndexModel {
    let options = IndexOptions::builder().sparse(true).build();
    IndexModel::builder()
        .keys(doc! { field: 1 })
        .options(options)
        .build()
}

fn finding_in_order(fields: &[&str]) -> IndexModel {
    let keys = fields
        .iter()
        .map(|field| ((*field).to_owned(), Bson::Int32(1)));
    IndexModel::builder()
        .keys(keys.collect::<Document>())
        .build()
}

/// Small, since a round is unpublished for a moment only.
fn finding_unpublished() -> IndexModel {
    let options = IndexOptions::builder().partial_filter_expression(is_unpublished());
    IndexModel::builder()
        .keys(unpublished_in_order())
        .options(options.build())
        .build()
}

fn expiring(field: &str) -> IndexModel {
    let options = IndexOptions::builder().expire_after(Duration::ZERO).build();
    IndexModel::builder()
        .keys(doc! { field: 1 })
        .options(options)
        .build()
}

/// Says which values are duplicated and what to do.
async fn duplicates(collection: &Documents, uniques: &[Unique]) -> OpenError {
    let name = collection.name();
    let mut findings = Vec::new();
    for unique in uniques {
        match duplicates_of(collection, unique).await {
            Ok(examples) if examples.is_empty() => {}
            Ok(examples) => findings.push(finding(name, unique, &examples)),
            Err(error) => return error,
        }
    }
    OpenError::Duplicates(format!(
        "the {STORE} collection {name} has duplicates where each must be the only one; nothing \
         was changed. {}",
        findings.join(". ")
    ))
}

fn finding(collection: &str, unique: &Unique, examples: &[Document]) -> String {
    let mut named: Vec<String> = examples.iter().map(|e| unique.describe(e)).collect();
    if named.len() > MOST_EXAMPLES {
        named.truncate(MOST_EXAMPLES);
        named.push(String::from("and more"));
    }
    let fields: Vec<String> = unique
        .fields
        .iter()
        .filter(|field| **field != "session")
        .map(|field| format!("{collection}.{field}"))
        .collect();
    format!(
        "{}: {}: {}",
        fields.join(" with "),
        named.join("; "),
        unique.advice
    )
}

async fn duplicates_of(
    collection: &Documents,
    unique: &Unique,
) -> Result<Vec<Document>, OpenError> {
    let mut pipeline = unique.pipeline();
    pipeline.push(doc! { "$sort": { "count": -1, "keep": 1 } });
    let limit = i64::try_from(MOST_EXAMPLES + 1).unwrap_or(i64::MAX);
    pipeline.push(doc! { "$limit": limit });
    let found = async {
        let cursor = collection.aggregate(pipeline).allow_disk_use(true).await?;
        cursor.try_collect().await
    };
    let unusable = |reason: String| {
        let name = collection.name();
        OpenError::Unusable(format!(
            "the duplicates in {name} cannot be counted: {reason}"
        ))
    };
    match tokio::time::timeout(BUILD_DEADLINE, found).await {
        Ok(Ok(examples)) => Ok(examples),
        Ok(Err(error)) => Err(unusable(error.to_string())),
        Err(_) => Err(unusable(String::from("no answer in time"))),
    }
}
