use smallvec::SmallVec;

use crate::document::Document;
use crate::query::{Condition, Filter, Query, Scalar, Select};
use crate::store::Store;
use crate::store::batch::Batch;
use crate::store::count::Count;

/// Takes what a search finds, in whatever form it is to travel.
pub trait Answer {
    /// Why something cannot be taken.
    type Error;

    /// Takes the row of one document, or says that there is no room for it. The
    /// first row must be taken or be an error.
    ///
    /// # Errors
    /// If it can never be taken.
    fn row<D: Document>(&mut self, id: u32, columns: &[Option<&D>]) -> Result<Room, Self::Error>;

    /// Takes a value and how many documents have it.
    ///
    /// # Errors
    /// If there is no room for it.
    fn group<D: Document>(&mut self, value: &D, documents: u64) -> Result<(), Self::Error>;
}

/// Whether a row was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// It was.
    Taken,
    /// It was not, and no other will be: the page ends before it.
    Full,
}

pub(super) fn search<B: Batch, A: Answer>(
    store: &Store<B>,
    query: &Query<'_>,
    answer: &mut A,
) -> Result<Option<u32>, A::Error> {
    if let Select::CountBy(path) = &query.select {
        let found = found(store, query.filter.as_ref(), 0);
        count(found.map(|(_, document)| document), path, answer)?;
        return Ok(None);
    }
    let from = match query.after_id {
        Some(u32::MAX) => return Ok(None),
        Some(after) => after + 1,
        None => 0,
    };
    let mut last = None;
    let mut rows = 0;
    for (id, document) in found(store, query.filter.as_ref(), from) {
        if rows >= query.limit.max(1) {
            return Ok(last);
        }
        let mut columns: SmallVec<[Option<&B::Document<'_>>; 8]> = SmallVec::new();
        match &query.select {
            Select::Documents | Select::CountBy(_) => columns.push(Some(document)),
            Select::Fields(paths) => columns.extend(paths.iter().map(|path| document.at(path))),
            Select::Join { from, to } => {
                let Some(text) = document.at(from).and_then(|value| value.view().text()) else {
                    continue;
                };
                let partners = Filter {
                    path: to.as_ref().into(),
                    condition: Condition::Equal(Scalar::Text(text.into())),
                };
                columns.push(Some(document));
                columns.extend(self::found(store, Some(&partners), 0).map(|(_, it)| Some(it)));
                if columns.len() == 1 {
                    continue;
                }
            }
        }
        if answer.row(id, &columns)? == Room::Full {
            return Ok(last);
        }
        last = Some(id);
        rows += 1;
    }
    Ok(None)
}

fn count<'a, D: Document + 'a, A: Answer>(
    found: impl Iterator<Item = &'a D>,
    path: &str,
    answer: &mut A,
) -> Result<(), A::Error> {
    let mut count = Count::new();
    for value in found.filter_map(|document| document.at(path)) {
        count.add(value);
    }
    for group in count.groups() {
        answer.group(group.value, group.documents)?;
    }
    Ok(())
}

/// The documents from an id on that a filter means, in ascending order of their
/// ids.
fn found<'a, 'f, B: Batch>(
    store: &'a Store<B>,
    filter: Option<&'f Filter<'f>>,
    from: u32,
) -> impl Iterator<Item = (u32, &'a B::Document<'a>)> + use<'a, 'f, B> {
    let ids = match filter.and_then(|filter| candidates(store, filter)) {
        Some(ids) => Ids::Some(ids.into_iter()),
        None => Ids::All(from..store.places.len() as u32),
    };
    ids.filter(move |&id| id >= from)
        .filter_map(|id| Some((id, store.document(id)?)))
        .filter(move |(_, document)| filter.is_none_or(|filter| filter.matches(*document)))
}

/// Ascending ids, all that a filter means among them, if an index has them.
fn candidates<B: Batch>(store: &Store<B>, filter: &Filter<'_>) -> Option<Vec<u32>> {
    match &filter.condition {
        Condition::Equal(Scalar::Text(text)) => {
            let index = store
                .equality
                .iter()
                .find(|index| index.path() == filter.path)?;
            let mut ids: Vec<u32> = index.candidates(text).collect();
            ids.sort_unstable();
            Some(ids)
        }
        Condition::Between { low, high } => {
            let index = store
                .order
                .iter()
                .find(|index| index.path() == filter.path)?;
            Some(index.between(*low, *high))
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

    fn next(&mut self) -> Option<u32> {
        match self {
            Self::All(ids) => ids.next(),
            Self::Some(ids) => ids.next(),
        }
    }
}
