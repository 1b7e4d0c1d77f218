//! What every client must do, over whatever carrier.

use nowire_cooldb::client::Client;
use nowire_cooldb::document::Document;
use nowire_cooldb::nobench::{Collection, INDEXES, Question, Record};
use nowire_cooldb::plain::{Json, Plain};
use nowire_cooldb::query::{Key, Query};
use nowire_cooldb::reader::Copied;
use nowire_cooldb::store::{Answer, Room, Store};

const DOCUMENTS: u32 = 1500;
const BATCH: u32 = 400;

/// Fills the client's store and one in this process, and asks both the same.
pub async fn answers_as_a_store_in_this_process(mut client: impl Client) {
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
            let mut expected = Kept::default();
            assert_eq!(store.search(&query, &mut expected), Ok(None));
            for limit in [u32::MAX, 100] {
                let query = Query {
                    limit,
                    ..query.clone()
                };
                let found = all_pages(&mut client, query).await;
                assert_eq!(found, expected.0, "{question} {number}");
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

/// An answer with all it was given.
#[derive(Debug, Default)]
struct Kept(Copied);

impl Answer for Kept {
    type Error = &'static str;

    fn row<D: Document>(&mut self, id: u32, columns: &[Option<&D>]) -> Result<Room, Self::Error> {
        let columns = columns.iter().map(|value| value.map(Json::of)).collect();
        self.0.rows.push((id, columns));
        Ok(Room::Taken)
    }

    fn group<D: Document>(&mut self, value: &D, documents: u64) -> Result<(), Self::Error> {
        self.0.groups.push((Json::of(value), documents));
        Ok(())
    }
}
