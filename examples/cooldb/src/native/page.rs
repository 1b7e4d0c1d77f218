use nowire::{Lent, Scope, ScopeError, Shared, Slice};
use smallvec::SmallVec;

use crate::builder::Builder;
use crate::document::Document;
use crate::native::document::{InScope, Json};
use crate::store;

/// What a small row takes, in bytes: a page has room for the list of so many.
const ROW_BYTES: usize = 96;

/// A document that was read.
#[derive(Debug, Shared)]
pub struct Found<'s> {
    /// Its id.
    pub id: u32,
    /// All of it: that which is stored, for the client that built it.
    pub document: Lent<'s, Json<'s>>,
}

/// A part of an answer.
#[derive(Debug, Shared)]
pub struct Page<'s> {
    /// Of documents.
    pub rows: Slice<'s, Row<'s>>,
    /// Of a count, instead of rows.
    pub groups: Slice<'s, Group<'s>>,
    /// Set if there may be more: the id to go on after.
    pub next_after_id: Option<u32>,
}

/// What was asked for of a document.
#[derive(Debug, Shared)]
pub struct Row<'s> {
    /// Its id.
    pub id: u32,
    /// The values that it has of those that were asked for.
    pub columns: Slice<'s, Option<Json<'s>>>,
}

/// How many documents have a value.
#[derive(Debug, Shared)]
pub struct Group<'s> {
    /// The value.
    pub value: Json<'s>,
    /// How many.
    pub documents: u64,
}

/// The answer does not fit into the memory that the server gives an answer: a
/// document is too large, or there are too many groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Shared)]
pub struct TooLarge {
    /// What the server gives an answer, in bytes.
    pub limit_bytes: u64,
}

impl<'s> Page<'s> {
    /// What was found, in the scope of the reply; as much of it as there is room
    /// for.
    pub(super) fn build<D: Document>(
        scope: &'s Scope,
        found: store::Found<'_, D>,
    ) -> Result<Self, TooLarge> {
        match found {
            store::Found::Rows(rows) => Self::of_rows(scope, rows),
            store::Found::Groups(groups) => Self::of_groups(scope, &groups),
        }
        .map_err(|_| TooLarge {
            limit_bytes: scope.capacity_bytes() as u64,
        })
    }

    fn of_rows<D: Document>(
        scope: &'s Scope,
        rows: store::Rows<'_, D>,
    ) -> Result<Self, ScopeError> {
        let mut filling = Filling {
            scope,
            rows,
            slots: ((scope.capacity_bytes() - scope.used_bytes()) / ROW_BYTES).max(1),
            last_id: None,
            full: None,
        };
        let rows = scope.slice_of(&mut filling)?;
        let next_after_id = match filling {
            // Not even one.
            Filling {
                full: Some(error),
                last_id: None,
                ..
            } => return Err(error),
            Filling {
                full: Some(_),
                last_id,
                ..
            } => last_id,
            Filling { rows, .. } => rows.next_page(),
        };
        Ok(Self {
            rows,
            groups: Slice::empty(),
            next_after_id,
        })
    }

    fn of_groups<D: Document>(
        scope: &'s Scope,
        groups: &[store::Group<'_, D>],
    ) -> Result<Self, ScopeError> {
        let built = groups.iter().map(|group| {
            Ok(Group {
                value: InScope(scope).copy(group.value)?,
                documents: group.documents,
            })
        });
        Ok(Self {
            rows: Slice::empty(),
            groups: scope.slice_of(built.collect::<Result<Vec<_>, ScopeError>>()?)?,
            next_after_id: None,
        })
    }
}

/// Builds rows until there are no more, or there is no more room.
struct Filling<'s, 'a, D> {
    scope: &'s Scope,
    rows: store::Rows<'a, D>,
    /// Rows that the list has room for.
    slots: usize,
    last_id: Option<u32>,
    full: Option<ScopeError>,
}

impl<'s, D: Document> Filling<'s, '_, D> {
    fn row(&self, row: &store::Row<'_, D>) -> Result<Row<'s>, ScopeError> {
        let mut columns: SmallVec<[Option<Json<'s>>; 4]> = SmallVec::new();
        for column in &row.columns {
            let value = column.map(|value| InScope(self.scope).copy(value));
            columns.push(value.transpose()?);
        }
        Ok(Row {
            id: row.id,
            columns: self.scope.slice_of(columns)?,
        })
    }
}

impl<'s, D: Document> Iterator for Filling<'s, '_, D> {
    type Item = Row<'s>;

    fn next(&mut self) -> Option<Row<'s>> {
        self.slots = self.slots.checked_sub(1)?;
        let row = self.rows.next()?;
        match self.row(&row) {
            Ok(built) => {
                self.last_id = Some(row.id);
                Some(built)
            }
            Err(error) => {
                self.slots = 0;
                self.full = Some(error);
                None
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.slots))
    }
}

/// It may end sooner, which a slice does not mind.
impl<D: Document> ExactSizeIterator for Filling<'_, '_, D> {
    fn len(&self) -> usize {
        self.slots
    }
}
