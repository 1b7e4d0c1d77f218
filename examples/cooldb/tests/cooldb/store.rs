//! What a store answers, whatever holds its documents.

use std::collections::{BTreeMap, BTreeSet};

use crate::answers;
use nowire::Scope;
use nowire_cooldb::builder::Builder;
use nowire_cooldb::document::{DEPTH_LIMIT, Document, View};
use nowire_cooldb::grpc::Messages;
use nowire_cooldb::native::InScope;
use nowire_cooldb::nobench::{Collection, INDEXES, Question, Record};
use nowire_cooldb::plain::{Json, Plain};
use nowire_cooldb::query::{Condition, Filter, Key, Query, Scalar, Select};
use nowire_cooldb::reader::Copied;
use nowire_cooldb::store::{Batch, Indexes, InsertError, Store};

const DOCUMENTS: u32 = 2000;
const BATCH: u32 = 300;

fn collection() -> Collection {
    Collection::new(7, DOCUMENTS)
}

/// A store of the collection's documents, in batches.
fn filled<B: Builder<Error: std::fmt::Debug>>(
    builder: &B,
    indexes: Indexes<'_>,
) -> Store<Vec<B::Json>>
where
    Vec<B::Json>: Batch,
{
    let mut store = Store::new(indexes);
    for start in (0..DOCUMENTS).step_by(BATCH as usize) {
        let records = collection().records(start..start + BATCH);
        let batch = records.map(|record| record.build(builder).unwrap());
        assert_eq!(store.insert(batch.collect()).unwrap(), start);
    }
    store
}

fn answer<B: Batch>(store: &Store<B>, query: &Query<'_>) -> Copied {
    let (page, next) = answers::page(store, query);
    assert_eq!(next, None);
    page
}

/// The ids of the documents whose records are meant.
fn ids(mut meant: impl FnMut(&Record) -> bool) -> Vec<u32> {
    let records = collection().records(0..DOCUMENTS);
    (0..)
        .zip(records)
        .filter(|(_, record)| meant(record))
        .map(|(id, _)| id)
        .collect()
}

fn find(path: &'static str, condition: Condition<'static>) -> Query<'static> {
    Query {
        select: Select::Documents,
        filter: Some(Filter {
            path: path.into(),
            condition,
        }),
        after_id: None,
        limit: u32::MAX,
    }
}

fn found(query: &Query<'_>) -> Vec<u32> {
    let store = filled(&Plain, INDEXES);
    answer(&store, query).rows.iter().map(|row| row.0).collect()
}

#[test]
fn every_representation_gives_the_same_answers() {
    let plain = filled(&Plain, INDEXES);
    let messages = filled(&Messages, INDEXES);
    let scope = Scope::private(16 << 20);
    let native = filled(&InScope(&scope), INDEXES);
    for question in Question::ALL {
        for number in 0..5 {
            let query = question.query(&collection(), number);
            let expected = answer(&plain, &query);
            assert_eq!(answer(&messages, &query), expected, "{question} {number}");
            assert_eq!(answer(&native, &query), expected, "{question} {number}");
        }
    }
}

#[test]
fn every_question_finds_something() {
    let store = filled(&Plain, INDEXES);
    for question in Question::ALL {
        let found: usize = (0..40)
            .map(|number| {
                let answer = answer(&store, &question.query(&collection(), number));
                answer.rows.len() + answer.groups.len()
            })
            .sum();
        assert!(found > 0, "{question}");
    }
}

#[test]
fn an_index_changes_no_answer() {
    let indexed = filled(&Plain, INDEXES);
    let bare = filled(&Plain, Indexes::default());
    assert_eq!(bare.stats().index_entries, 0);
    for question in Question::ALL.into_iter().filter(|it| it.is_indexed()) {
        // A join without an index looks at everything for each row.
        let numbers = if question == Question::Q11 {
            0..2
        } else {
            0..10
        };
        for number in numbers {
            let query = question.query(&collection(), number);
            assert_eq!(
                answer(&bare, &query),
                answer(&indexed, &query),
                "{question}"
            );
        }
    }
}

#[test]
fn documents_say_what_their_records_say() {
    let store = filled(&Messages, INDEXES);
    for (id, record) in (0..).zip(collection().records(0..DOCUMENTS)) {
        let document = store.document(id).unwrap();
        assert_eq!(Json::of(document), record.build(&Plain).unwrap());
        assert_eq!(document.fields().len(), 19);
        let nested = document.at("nested_obj.num").unwrap().view().number();
        assert_eq!(nested, Some(f64::from(record.nested_number)));
    }
    assert!(store.document(DOCUMENTS).is_none());
}

#[test]
fn a_text_leads_to_its_document() {
    let store = filled(&Plain, INDEXES);
    for id in [0, 1, 299, 300, DOCUMENTS - 1] {
        let key = Key::Field {
            path: "str1".into(),
            text: collection().record(id).own_text.into(),
        };
        assert_eq!(store.get(&key).map(|found| found.0), Some(id));
    }
    let key = Key::Field {
        path: "str1".into(),
        text: "nobody's".into(),
    };
    assert!(store.get(&key).is_none());
}

#[test]
fn the_first_of_several_documents_is_read_without_an_index_too() {
    let store = filled(&Plain, INDEXES);
    let shared = collection().record(5).shared_text;
    let first = ids(|record| record.shared_text == shared)[0];
    let key = Key::Field {
        path: "str2".into(),
        text: shared.into(),
    };
    assert_eq!(store.get(&key).map(|found| found.0), Some(first));
}

#[test]
fn conditions_find_what_the_records_say() {
    use nowire_cooldb::nobench::Dynamic::Number;

    let between = Condition::Between {
        low: 100.0,
        high: 120.0,
    };
    assert_eq!(
        found(&find("num", between.clone())),
        ids(|record| (100..=120).contains(&record.number))
    );
    assert_eq!(
        found(&find("dyn1", between)),
        ids(
            |record| matches!(record.mostly_number, Number(number) if (100..=120).contains(&number))
        )
    );
    let word = ids(|record| record.words.len() > 2)[0];
    let word = collection().record(word).words[2].clone();
    assert_eq!(
        found(&find(
            "nested_arr",
            Condition::Contains(word.clone().into())
        )),
        ids(|record| record.words.contains(&word))
    );
    assert_eq!(
        found(&find("str2", Condition::Mentions("G".into()))),
        ids(|record| record.shared_text.contains('G'))
    );
    assert_eq!(
        found(&find("bool", Condition::Equal(Scalar::Bool(true)))),
        ids(|record| record.flag)
    );
    assert_eq!(
        found(&find(
            "nested_obj.num",
            Condition::Equal(Scalar::Number(7.0))
        )),
        ids(|record| record.nested_number == 7)
    );
}

#[test]
fn counts_add_up() {
    let store = filled(&Plain, INDEXES);
    let query = Query {
        select: Select::CountBy("thousandth".into()),
        filter: None,
        after_id: None,
        limit: 1,
    };
    let groups = answer(&store, &query).groups;
    let mut expected = BTreeMap::new();
    for record in collection().records(0..DOCUMENTS) {
        *expected.entry(record.number % 1000).or_insert(0) += 1;
    }
    let expected: Vec<(Json, u64)> = expected
        .into_iter()
        .map(|(value, documents)| (Json::Number(f64::from(value)), documents))
        .collect();
    assert_eq!(groups, expected);
}

#[test]
fn a_join_puts_each_document_beside_the_one_it_names() {
    let store = filled(&Plain, INDEXES);
    let answer = answer(&store, &Question::Q11.query(&collection(), 3));
    assert!(!answer.rows.is_empty());
    for (id, columns) in answer.rows {
        let [Some(left), Some(right)] = &columns[..] else {
            panic!("{columns:?}")
        };
        let named = collection().record(id).nested_text;
        assert_eq!(
            left.at("nested_obj.str").unwrap().view().text(),
            Some(&*named)
        );
        assert_eq!(right.at("str1").unwrap().view().text(), Some(&*named));
    }
}

#[test]
fn pages_together_are_the_whole_answer() {
    let store = filled(&Plain, INDEXES);
    for question in [Question::Q1, Question::Q6, Question::Q9, Question::Q11] {
        let whole = question.query(&collection(), 1);
        let expected = answer(&store, &whole);
        for limit in [0, 1, 7, u32::MAX] {
            let mut rows = Vec::new();
            let mut query = Query {
                limit,
                ..whole.clone()
            };
            loop {
                let (page, next) = answers::page(&store, &query);
                assert!(page.rows.len() <= limit.max(1) as usize);
                rows.extend(page.rows);
                match next {
                    Some(id) => query.after_id = Some(id),
                    None => break,
                }
            }
            assert_eq!(rows, expected.rows, "{question} by {limit}");
        }
    }
}

#[test]
fn a_batch_with_a_bad_document_leaves_nothing_behind() {
    let mut store = filled(&Plain, INDEXES);
    let before = store.stats();
    let good = collection().record(3).build(&Plain).unwrap();
    assert_eq!(
        store.insert(vec![good.clone(), Json::Number(1.0)]),
        Err(InsertError::NoObject { index: 1 })
    );
    let deep = |levels| {
        (1..levels).fold(Json::Object(BTreeMap::new()), |inner, _| {
            Json::Object(BTreeMap::from([("in".to_owned(), inner)]))
        })
    };
    assert_eq!(
        store.insert(vec![good, deep(DEPTH_LIMIT + 1)]),
        Err(InsertError::TooDeep { index: 1 })
    );
    assert_eq!(store.stats(), before);
    let id = store.insert(vec![deep(DEPTH_LIMIT)]).unwrap();
    let kept = store.document(id).unwrap();
    assert_eq!(Json::of(kept), deep(DEPTH_LIMIT));
}

#[test]
fn zero_has_no_sign_in_a_range() {
    let document =
        |number| Json::Object(BTreeMap::from([("num".to_owned(), Json::Number(number))]));
    let mut store = Store::new(INDEXES);
    store
        .insert(vec![
            document(-0.0),
            document(0.0),
            document(f64::NAN),
            document(1.0),
        ])
        .unwrap();
    for (low, high) in [(0.0, 0.5), (-0.0, 0.5)] {
        let query = find("num", Condition::Between { low, high });
        let rows = answer(&store, &query).rows;
        assert_eq!(rows.iter().map(|row| row.0).collect::<Vec<_>>(), [0, 1]);
    }
}

#[test]
fn a_collection_is_what_its_seed_says() {
    let one: Vec<Record> = collection().records(0..50).collect();
    let again: Vec<Record> = collection().records(0..50).collect();
    assert_eq!(one, again);
    let other: Vec<Record> = Collection::new(8, DOCUMENTS).records(0..50).collect();
    assert_ne!(one, other);

    let texts: BTreeSet<String> = collection()
        .records(0..DOCUMENTS)
        .map(|it| it.own_text)
        .collect();
    assert_eq!(texts.len(), DOCUMENTS as usize);
    let clusters: BTreeSet<u32> = collection()
        .records(0..DOCUMENTS)
        .map(|it| it.cluster)
        .collect();
    assert_eq!(clusters.len(), 100);
}

#[test]
fn dynamic_fields_change_their_type() {
    let store = filled(&Plain, INDEXES);
    let kinds = |path| {
        let kinds =
            (0..DOCUMENTS).map(
                |id| match store.document(id).unwrap().at(path).unwrap().view() {
                    View::Null => "null",
                    View::Bool(_) => "bool",
                    View::Number(_) => "number",
                    View::Text(_) => "text",
                    View::List(_) => "list",
                    View::Object => "object",
                },
            );
        kinds
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect::<Vec<_>>()
    };
    assert_eq!(kinds("dyn1"), ["number", "text"]);
    assert_eq!(kinds("dyn2"), ["bool", "null", "number", "object", "text"]);
}

#[test]
fn a_field_is_found_wherever_it_is_among_others() {
    let shapes: [&[&str]; 5] = [
        &["a", "num", "z"],
        &["num"],
        &["a", "b", "c", "num"],
        &["a", "z"],
        &["num", "o", "p"],
    ];
    let scope = Scope::private(1 << 20);
    let mut native = Store::new(INDEXES);
    let mut plain = Store::new(INDEXES);
    let documents = || (0..50).map(|id| (id, shapes[id * 7 % 5]));
    native
        .insert(
            documents()
                .map(|it| object(&InScope(&scope), it))
                .collect::<Vec<_>>(),
        )
        .unwrap();
    plain
        .insert(documents().map(|it| object(&Plain, it)).collect::<Vec<_>>())
        .unwrap();
    let everything = Query {
        select: Select::Fields(vec!["num".into(), "z".into()]),
        filter: None,
        after_id: None,
        limit: u32::MAX,
    };
    let range = Condition::Between {
        low: 10.0,
        high: 20.0,
    };
    for query in [everything, find("num", range)] {
        let found = answer(&native, &query);
        assert!(!found.rows.is_empty());
        assert_eq!(found, answer(&plain, &query));
    }
}

/// An object in which every field of a shape has the same number.
fn object<B: Builder<Error: std::fmt::Debug>>(
    builder: &B,
    (number, shape): (usize, &[&str]),
) -> B::Json {
    let mut object = builder.begin_object(shape.len());
    for name in shape {
        builder.field(&mut object, name, builder.number(number as f64));
    }
    builder.end_object(object).unwrap()
}
