//! How types are laid out, in a form two processes can compare.
use std::any;

use super::Shared;

/// The layout of a type and of everything it points to: what two sides must
/// have the same before one reads what the other wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    text: String,
    fingerprint: u64,
    size_bytes: usize,
}

impl Layout {
    /// The layout of `T`.
    #[must_use]
    pub fn of<T: Shared>() -> Self {
        let mut schema = Schema::default();
        let root = T::describe(&mut schema);
        let mut text = format!(
            "{root}: {} bytes, align {}, {}-bit {}-endian\n",
            size_of::<T>(),
            align_of::<T>(),
            usize::BITS,
            if cfg!(target_endian = "little") {
                "little"
            } else {
                "big"
            },
        );
        for described in &schema.types {
            text.push_str(&described.text);
        }
        let fingerprint = fingerprint(text.as_bytes());
        Self {
            text,
            fingerprint,
            size_bytes: size_of::<T>(),
        }
    }

    /// Size of the type itself, without what it points to.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        self.size_bytes
    }

    /// Every type by name, size, alignment, fields, variants and offsets.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// A number that differs where the text does.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// What differs first in the layout `other_text` of the other side, or
    /// `None` if nothing does.
    #[must_use]
    pub fn difference(&self, other_text: &str) -> Option<String> {
        if self.text == other_text {
            return None;
        }
        let here = sections(&self.text);
        let there = sections(other_text);
        if let (Some(own), Some(other)) = (here.first(), there.first())
            && own.0 != other.0
        {
            return Some(format!(
                "the type is `{}` here and `{}` there",
                shown(own.0),
                shown(other.0)
            ));
        }
        for (index, (header, lines)) in here.iter().enumerate() {
            let name = name_of(header);
            let other = if index == 0 {
                there.first()
            } else {
                there.iter().skip(1).find(|other| name_of(other.0) == name)
            };
            let Some((other_header, other_lines)) = other else {
                return Some(format!("`{}` is known here, not there", shown(name)));
            };
            let found = line_difference(lines, other_lines);
            if let Some(found) = found {
                return Some(format!("`{}`: {found}", shown(name)));
            }
            if header != other_header {
                return Some(format!(
                    "`{}` here, `{}` there",
                    shown(header),
                    shown(other_header)
                ));
            }
        }
        Some("the types are described in another order".into())
    }
}

/// The first line of each type, and the lines of its fields and variants.
type Section<'a> = (&'a str, Vec<&'a str>);

fn sections(text: &str) -> Vec<Section<'_>> {
    let mut sections: Vec<Section<'_>> = Vec::new();
    for line in text.lines() {
        match (line.strip_prefix("  "), sections.last_mut()) {
            (Some(line), Some((_, lines))) => lines.push(line),
            _ => sections.push((line, Vec::new())),
        }
    }
    sections
}

fn name_of(line: &str) -> &str {
    line.split_once(": ").map_or(line, |(name, _)| name)
}

fn line_difference(here: &[&str], there: &[&str]) -> Option<String> {
    for line in here {
        let name = name_of(line);
        match there.iter().find(|other| name_of(other) == name) {
            None => return Some(format!("`{}` here, nothing there", shown(line))),
            Some(other) if other != line => {
                return Some(format!("`{}` here, `{}` there", shown(line), shown(other)));
            }
            Some(_) => {}
        }
    }
    let more = there
        .iter()
        .find(|other| here.iter().all(|line| name_of(line) != name_of(other)))?;
    Some(format!("nothing here, `{}` there", shown(more)))
}

/// A line in a message: it may come from a peer, and be anything.
fn shown(line: &str) -> String {
    line.chars()
        .take(120)
        .flat_map(char::escape_debug)
        .collect()
}

/// FNV-1a, and a last step that spreads it over all bits.
fn fingerprint(bytes: &[u8]) -> u64 {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let hash = (hash ^ (hash >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    hash ^ (hash >> 32)
}

/// The types described so far.
#[derive(Debug, Default)]
pub struct Schema {
    types: Vec<Described>,
}

#[derive(Debug)]
struct Described {
    /// What tells types apart that have the same short name.
    identity: &'static str,
    name: String,
    text: String,
}

/// How a type names itself in a schema: [`Shared::describe`].
pub type Describe = fn(&mut Schema) -> String;

impl Schema {
    /// Describes the struct `T`, of this name and these type arguments, unless
    /// it is described already; returns its name.
    pub fn structure<T: Shared>(
        &mut self,
        name: &str,
        arguments: &[Describe],
        fields: impl FnOnce(&mut Fields<'_>),
    ) -> String {
        self.describe::<T>(name, arguments, "struct", |schema| {
            let mut lines = Fields {
                schema,
                variant: "",
                text: String::new(),
            };
            fields(&mut lines);
            lines.text
        })
    }

    /// Describes the enum `T`, of this name and these type arguments, unless it
    /// is described already; returns its name.
    pub fn enumeration<T: Shared>(
        &mut self,
        name: &str,
        arguments: &[Describe],
        variants: impl FnOnce(&mut Variants<'_>),
    ) -> String {
        self.describe::<T>(name, arguments, "enum", |schema| {
            let mut lines = Variants {
                schema,
                text: String::new(),
            };
            variants(&mut lines);
            lines.text
        })
    }

    /// Describes a generic type by a single line.
    pub(super) fn wrapper<T: Shared>(
        &mut self,
        name: &str,
        arguments: &[Describe],
        shape: &str,
    ) -> String {
        self.describe::<T>(name, arguments, shape, |_| String::new())
    }

    fn describe<T: Shared>(
        &mut self,
        name: &str,
        arguments: &[Describe],
        kind: &str,
        body: impl FnOnce(&mut Self) -> String,
    ) -> String {
        let identity = any::type_name::<T>();
        if let Some(name) = self.known(identity) {
            return name;
        }
        let arguments: Vec<String> = arguments.iter().map(|argument| argument(self)).collect();
        // A type may be part of what its own arguments point to.
        if let Some(name) = self.known(identity) {
            return name;
        }
        let mut name = match (name, arguments.as_slice()) {
            ("", arguments) => format!("({})", arguments.join(", ")),
            (name, []) => name.to_owned(),
            (name, arguments) => format!("{name}<{}>", arguments.join(", ")),
        };
        let namesakes = self
            .types
            .iter()
            .filter(|known| known.name.split('#').next() == Some(&name))
            .count();
        if namesakes > 0 {
            name = format!("{name}#{}", namesakes + 1);
        }
        let index = self.types.len();
        self.types.push(Described {
            identity,
            name: name.clone(),
            text: String::new(),
        });
        let body = body(self);
        let (bytes, align) = (size_of::<T>(), align_of::<T>());
        if let Some(described) = self.types.get_mut(index) {
            described.text = format!("{name}: {kind}, {bytes} bytes, align {align}\n{body}");
        }
        name
    }

    /// The name of a type that is described, or is being described.
    fn known(&self, identity: &str) -> Option<String> {
        let known = self.types.iter().find(|known| known.identity == identity)?;
        Some(known.name.clone())
    }
}

/// The fields of a struct or a variant, as they are described.
#[derive(Debug)]
pub struct Fields<'a> {
    schema: &'a mut Schema,
    variant: &'a str,
    text: String,
}

impl Fields<'_> {
    /// Describes a field of type `F`, `offset` bytes from the start of the
    /// struct or enum.
    pub fn field<F: Shared>(&mut self, name: &str, offset: usize) {
        let type_name = F::describe(self.schema);
        let (variant, dot) = (self.variant, if self.variant.is_empty() { "" } else { "." });
        let line = format!("  {variant}{dot}{name}: {type_name} at {offset}\n");
        self.text.push_str(&line);
    }
}

/// The variants of an enum, as they are described.
#[derive(Debug)]
pub struct Variants<'a> {
    schema: &'a mut Schema,
    text: String,
}

impl Variants<'_> {
    /// Describes a variant by its name, its tag and its fields.
    pub fn variant(&mut self, name: &str, tag: u8, fields: impl FnOnce(&mut Fields<'_>)) {
        let mut lines = Fields {
            schema: self.schema,
            variant: name,
            text: format!("  {name}: variant {tag}\n"),
        };
        fields(&mut lines);
        self.text.push_str(&lines.text);
    }
}
