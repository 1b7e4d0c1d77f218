//! What every client must do, over whatever carrier.

use nowire_cooldb::client::{Client, Reader};
use nowire_cooldb::nobench::{Collection, INDEXES, Question, Record};
use nowire_cooldb::plain::{Json, Plain};
use nowire_cooldb::query::{Key, Query};
use nowire_cooldb::reader::Copied;
use nowire_cooldb::store::{Batch, Found, Store};

const DOCUMENTS: u32 = 1500;
const BATCH: u32 = 400;

/// Fills the client's store and one in this process, and asks both the same.
pub(crate) async fn as_a_store_in_this_process(mut client: impl Client) {
    let collection = Collection::new(3, DOCUMENTS);
    let mut store: Store<Vec<Json>> = Store::new(INDEXES);
    for start in (0..DOCUMENTS).step_by(BATCH as usize) {
        let records: Vec<Record> = collection.records(start..start + BATCH).collect();
        assert_eq!(client.insert(&records).await.unwrap(), start);
        let batch = records.iter().map(|record| record.build(&Plain).unwrap());
        store.insert(batch.collect()).unwrap();
    }
    assert_eq!(client.stats().await.unwrap(), store.stats());

    for id in (0..DOCUMENTS).step_by(37) {
        let by_text = Key::Field {
            path: "str1".into(),
            text: collection.record(id).own_text.into(),
        };
        for key in [Key::Id(id), by_text] {
            let mut found = Copied::default();
            assert_eq!(client.get(&key, &mut found).await.unwrap(), Some(id));
            let document = Json::of(store.document(id).unwrap());
            assert_eq!(found.rows, [(id, vec![Some(document)])]);
        }
    }
    let by_text = Key::Field {
        path: "str1".into(),
        text: "nobody's".into(),
    };
    for key in [Key::Id(DOCUMENTS), by_text] {
        let mut found = Copied::default();
        assert_eq!(client.get(&key, &mut found).await.unwrap(), None);
        assert_eq!(found, Copied::default());
    }

    for question in Question::ALL {
        for number in 0..4 {
            let query = question.query(&collection, number);
            let (expected, next) = page(&store, &query);
            assert_eq!(next, None);
            for limit in [u32::MAX, 100] {
                let query = Query {
                    limit,
                    ..query.clone()
                };
                let found = all_pages(&mut client, query).await;
                assert_eq!(found, expected, "{question} {number}");
            }
        }
    }
}

async fn all_pages(client: &mut impl Client, mut query: Query<'_>) -> Copied {
    let mut found = Copied::default();
    loop {
        match client.search(&query, &mut found).await.unwrap() {
            Some(id) => query.after_id = Some(id),
            None => return found,
        }
    }
}

/// A page of what a store finds, and the id to go on after.
pub(crate) fn page<B: Batch>(store: &Store<B>, query: &Query<'_>) -> (Copied, Option<u32>) {
    let mut page = Copied::default();
    match store.search(query) {
        Found::Rows(mut rows) => {
            for row in rows.by_ref() {
                page.row(row.id, row.columns.iter().copied());
            }
            (page, rows.next_page())
        }
        Found::Groups(groups) => {
            for group in groups {
                page.group(group.value, group.documents);
            }
            (page, None)
        }
    }
}
