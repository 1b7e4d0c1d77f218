use crate::builder::Builder;
use crate::document::Document;
use crate::grpc::document::Messages;
use crate::grpc::proto::{Column, Group, Json, Page, Row};
use crate::store::{self, Found};

impl Page {
    /// What was found, as messages.
    pub(super) fn of<D: Document>(found: Found<'_, D>) -> Self {
        let mut page = Self::default();
        match found {
            Found::Rows(mut rows) => {
                page.rows = rows.by_ref().map(|found| row(&found)).collect();
                page.next_after_id = rows.next_page();
            }
            Found::Groups(groups) => {
                let groups = groups.iter().map(|group| Group {
                    value: Some(message(group.value)),
                    documents: group.documents,
                });
                page.groups = groups.collect();
            }
        }
        page
    }
}

fn row<D: Document>(row: &store::Row<'_, D>) -> Row {
    let columns = row.columns.iter().map(|column| Column {
        value: column.map(message),
    });
    Row {
        id: row.id,
        columns: columns.collect(),
    }
}

pub(super) fn message(value: &impl Document) -> Json {
    let Ok(json) = Messages.copy(value);
    json
}
