use crate::builder::Builder;
use crate::nobench::text::sparse_name;

/// What one document says, as the program that stores it knows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// `str1`: a text that no other document has here.
    pub own_text: String,
    /// `str2`: a text that about a hundred documents have here.
    pub shared_text: String,
    /// `num`.
    pub number: u32,
    /// `bool`.
    pub flag: bool,
    /// `dyn1`: mostly a number, else the same as a text.
    pub mostly_number: Dynamic,
    /// `dyn2`: anything.
    pub anything: Dynamic,
    /// `nested_arr`.
    pub words: Vec<String>,
    /// `nested_obj.str`: some document's `str1`.
    pub nested_text: String,
    /// `nested_obj.num`.
    pub nested_number: u32,
    /// Which cluster of ten sparse fields it has, 0 to 99.
    pub cluster: u32,
    /// The values of the sparse fields it has.
    pub sparse: [String; 10],
}

/// A value of changing type.
#[derive(Clone, Debug, PartialEq)]
pub enum Dynamic {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(u32),
    /// A string.
    Text(String),
    /// An object with a field `num`.
    Object(u32),
}

/// How many fields a document has.
const FIELDS: usize = 19;

impl Record {
    /// Makes the document.
    ///
    /// # Errors
    /// If there is no room for it.
    pub fn build<B: Builder>(&self, builder: &B) -> Result<B::Json, B::Error> {
        let number = |number: u32| builder.number(f64::from(number));
        let mut document = builder.begin_object(FIELDS);
        let mut field = |name, value| builder.field(&mut document, name, value);
        field("bool", builder.bool(self.flag));
        field("dyn1", self.mostly_number.build(builder)?);
        field("dyn2", self.anything.build(builder)?);
        let mut words = builder.begin_list(self.words.len());
        for word in &self.words {
            builder.item(&mut words, builder.text(word)?);
        }
        field("nested_arr", builder.end_list(words)?);
        let mut nested = builder.begin_object(2);
        builder.field(&mut nested, "num", number(self.nested_number));
        builder.field(&mut nested, "str", builder.text(&self.nested_text)?);
        field("nested_obj", builder.end_object(nested)?);
        field("num", number(self.number));
        for (place, value) in (0..).zip(&self.sparse) {
            field(sparse_name(self.cluster * 10 + place), builder.text(value)?);
        }
        field("str1", builder.text(&self.own_text)?);
        field("str2", builder.text(&self.shared_text)?);
        field("thousandth", number(self.number % 1000));
        builder.end_object(document)
    }
}

impl Dynamic {
    fn build<B: Builder>(&self, builder: &B) -> Result<B::Json, B::Error> {
        Ok(match self {
            Self::Null => builder.null(),
            Self::Bool(value) => builder.bool(*value),
            Self::Number(number) => builder.number(f64::from(*number)),
            Self::Text(text) => builder.text(text)?,
            Self::Object(number) => {
                let mut object = builder.begin_object(1);
                let number = builder.number(f64::from(*number));
                builder.field(&mut object, "num", number);
                builder.end_object(object)?
            }
        })
    }
}
