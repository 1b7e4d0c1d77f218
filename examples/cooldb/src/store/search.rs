use smallvec::SmallVec;

use crate::document::Document;
use crate::path::Path;
use crate::query::{Condition, Filter, Query, Scalar, Select};
use crate::store::Store;
use crate::store::batch::Batch;
use crate::store::count::{Count, Group};

/// What a query finds.
#[derive(Debug)]
pub enum Found<'a, D> {
    /// Documents, found as they are asked for.
    Rows(Rows<'a, D>),
    /// Values and how many documents have them, in the order of the values.
    Groups(Vec<Group<'a, D>>),
}

/// What was asked for of one document.
#[derive(Debug)]
pub struct Row<'a, D> {
    /// Its id.
    pub id: u32,
    /// The values that were asked for, where they lie.
    pub columns: SmallVec<[Option<&'a D>; 4]>,
}

/// The rows of a page, as many as the query has for its limit.
pub struct Rows<'a, D> {
    rows: Box<dyn Iterator<Item = Row<'a, D>> + 'a>,
    left: u32,
    last_id: Option<u32>,
}

impl<D> Rows<'_, D> {
    /// Ends the page: the id to go on after, if there is more.
    pub fn next_page(mut self) -> Option<u32> {
        self.rows.next()?;
        self.last_id
    }
}

impl<'a, D> Iterator for Rows<'a, D> {
    type Item = Row<'a, D>;

    fn next(&mut self) -> Option<Row<'a, D>> {
        self.left = self.left.checked_sub(1)?;
        let row = self.rows.next()?;
        self.last_id = Some(row.id);
        Some(row)
    }
}

impl<D> std::fmt::Debug for Rows<'_, D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rows")
            .field("left", &self.left)
            .field("last_id", &self.last_id)
            .finish_non_exhaustive()
    }
}

pub(super) fn search<'a, B: Batch>(
    store: &'a Store<B>,
    query: &'a Query<'_>,
) -> Found<'a, B::Document<'a>> {
    let filter = query.filter.as_ref();
    if let Select::CountBy(path) = &query.select {
        let mut count = Count::new();
        let path = Path::new(path);
        for (_, document) in found(store, filter, Some(0)) {
            if let Some(value) = path.find(document) {
                count.add(value);
            }
        }
        return Found::Groups(count.groups());
    }
    let from = match query.after_id {
        Some(after) => after.checked_add(1),
        None => Some(0),
    };
    let columns = Columns::of(&query.select);
    let rows = found(store, filter, from).filter_map(move |(id, document)| {
        let columns = columns.take(store, document)?;
        Some(Row { id, columns })
    });
    Found::Rows(Rows {
        rows: Box::new(rows),
        left: query.limit.max(1),
        last_id: None,
    })
}

/// What is to be said of each document.
enum Columns<'q> {
    Whole,
    Fields(Vec<Path<'q>>),
    Join { from: Path<'q>, to: &'q str },
}

impl<'q> Columns<'q> {
    fn of(select: &'q Select<'_>) -> Self {
        match select {
            Select::Documents | Select::CountBy(_) => Self::Whole,
            Select::Fields(paths) => {
                Self::Fields(paths.iter().map(|path| Path::new(path)).collect())
            }
            Select::Join { from, to } => Self::Join {
                from: Path::new(from),
                to,
            },
        }
    }

    /// The columns of a document; none if it has no row.
    fn take<'a, B: Batch>(
        &self,
        store: &'a Store<B>,
        document: &'a B::Document<'a>,
    ) -> Option<SmallVec<[Option<&'a B::Document<'a>>; 4]>> {
        let mut columns = SmallVec::new();
        match self {
            Self::Whole => columns.push(Some(document)),
            Self::Fields(paths) => columns.extend(paths.iter().map(|path| path.find(document))),
            Self::Join { from, to } => {
                let text = from.find(document)?.view().text()?;
                columns.push(Some(document));
                let partners = store.ids_with(to, text);
                columns.extend(partners.map(|id| store.document(id)));
                if columns.len() == 1 {
                    return None;
                }
            }
        }
        Some(columns)
    }
}

/// The documents from an id on that a filter means, in ascending order of their
/// ids; none if there is no id to begin with.
fn found<'a, B: Batch>(
    store: &'a Store<B>,
    filter: Option<&'a Filter<'_>>,
    from: Option<u32>,
) -> impl Iterator<Item = (u32, &'a B::Document<'a>)> {
    let ids = from.map(
        |from| match filter.and_then(|filter| indexed(store, filter)) {
            Some(mut ids) => {
                ids.drain(..ids.partition_point(|&id| id < from));
                Ids::Some(ids.into_iter())
            }
            None => Ids::All(from..store.len()),
        },
    );
    let filter = filter.map(|filter| (Path::new(&filter.path), &filter.condition));
    let is_meant = move |document: &B::Document<'a>| {
        filter.as_ref().is_none_or(|(path, condition)| {
            path.find(document)
                .is_some_and(|value| condition.holds_for(value))
        })
    };
    ids.into_iter()
        .flatten()
        .filter_map(|id| Some((id, store.document(id)?)))
        .filter(move |(_, document)| is_meant(document))
}

/// Ascending ids, all that a filter means among them, if an index has them.
fn indexed<B: Batch>(store: &Store<B>, filter: &Filter<'_>) -> Option<Vec<u32>> {
    match &filter.condition {
        Condition::Equal(Scalar::Text(text)) => {
            let index = store.equality_index(&filter.path)?;
            let mut ids: Vec<u32> = index.candidates(text).collect();
            ids.sort_unstable();
            Some(ids)
        }
        &Condition::Between { low, high } => {
            let index = store.order.iter().find(|it| it.path() == filter.path)?;
            Some(index.between(low, high))
        }
        _ => None,
    }
}

/// Ids to look at.
enum Ids {
    All(std::ops::Range<u32>),
    Some(std::vec::IntoIter<u32>),
}

impl Iterator for Ids {
    type Item = u32;

    #[inline]
    fn next(&mut self) -> Option<u32> {
        match self {
            Self::All(ids) => ids.next(),
            Self::Some(ids) => ids.next(),
        }
    }
}

impl<B: Batch> Store<B> {
    /// The documents with a text at a path, in ascending order of their ids.
    pub(super) fn ids_with(&self, path: &str, text: &str) -> impl Iterator<Item = u32> {
        let mut candidates: SmallVec<[u32; 4]> = SmallVec::new();
        let mut all = 0..0;
        match self.equality_index(path) {
            Some(index) => candidates.extend(index.candidates(text)),
            None => all = 0..self.len(),
        }
        candidates.sort_unstable();
        let path = Path::new(path);
        candidates.into_iter().chain(all).filter(move |&id| {
            let value = self.document(id).and_then(|document| path.find(document));
            value.is_some_and(|value| value.view().text() == Some(text))
        })
    }
}
