//! How a type travels in a native call: by value, or as a reference that goes
//! ahead.

use nowire_memory::data::Shared;
use nowire_memory::refs::{ByReference, ByValue, Ref, Travel};

use super::attached::{Attached, Attaching, BlobIndex, NoReference, RefIndex};
use super::reply::Reply;
use super::streaming::Request;
use crate::refs::Blob;

/// Both ends of a way, for whoever makes it of a root, and a root of it.
///
/// There is one for what is [`Shared`] and one for references; generated code
/// names neither.
pub trait Way {
    /// Whether something goes with the root.
    const ATTACHES: bool;
    /// What is given to be sent, in a scope.
    type Item<'s>;
    /// What of it goes in the root.
    type Sent<'s>: Shared;
    /// What stands in a root that comes.
    type Root: Shared;
    /// What a caller has of a reply.
    type Reply;
    /// What a handler has of a stream's item.
    type Request;

    /// Takes what is given apart.
    fn send<'s>(item: Self::Item<'s>, attaching: &mut Attaching) -> Self::Sent<'s>;

    /// Puts a reply together.
    ///
    /// # Errors
    /// If there is no such reference.
    fn reply(reply: Reply<Self::Root>, attached: &mut Attached)
    -> Result<Self::Reply, NoReference>;

    /// Puts an item together.
    ///
    /// # Errors
    /// If there is no such reference.
    fn request(
        request: Request<Self::Root>,
        attached: &mut Attached,
    ) -> Result<Self::Request, NoReference>;
}

impl<T: Shared> Way for ByValue<T> {
    const ATTACHES: bool = false;

    type Item<'s> = T::At<'s>;
    type Sent<'s> = T::At<'s>;
    type Root = T;
    type Reply = Reply<T>;
    type Request = Request<T>;

    #[inline]
    fn send<'s>(item: T::At<'s>, _: &mut Attaching) -> T::At<'s> {
        item
    }

    #[inline]
    fn reply(reply: Reply<T>, _: &mut Attached) -> Result<Reply<T>, NoReference> {
        Ok(reply)
    }

    #[inline]
    fn request(request: Request<T>, _: &mut Attached) -> Result<Request<T>, NoReference> {
        Ok(request)
    }
}

/// What goes ahead of a root that only names it.
pub trait Attach {
    /// What travels.
    type Value;
    /// What stands in the root.
    type Root: Copy + for<'a> Shared<At<'a> = Self::Root>;

    /// Has a value go along.
    fn put(value: Self::Value, attaching: &mut Attaching) -> Self::Root;

    /// Takes what has come along.
    ///
    /// # Errors
    /// If there is nothing, or it cannot be used.
    fn take(root: Self::Root, attached: &mut Attached) -> Result<Self::Value, NoReference>;
}

impl Attach for ByReference {
    type Value = Ref;
    type Root = RefIndex;

    fn put(reference: Ref, attaching: &mut Attaching) -> RefIndex {
        attaching.put(reference)
    }

    fn take(at: RefIndex, attached: &mut Attached) -> Result<Ref, NoReference> {
        attached.take(at)
    }
}

/// Travels by value or by reference, as its length says.
#[derive(Debug)]
pub struct AsBlob(());

impl Travel for Blob {
    type As = AsBlob;
}

impl Attach for AsBlob {
    type Value = Blob;
    type Root = BlobIndex;

    fn put(blob: Blob, attaching: &mut Attaching) -> BlobIndex {
        attaching.put_blob(blob)
    }

    fn take(at: BlobIndex, attached: &mut Attached) -> Result<Blob, NoReference> {
        attached.take_blob(at)
    }
}

impl<A: Attach> Way for A {
    const ATTACHES: bool = true;

    type Item<'s> = A::Value;
    type Sent<'s> = A::Root;
    type Root = A::Root;
    type Reply = A::Value;
    type Request = A::Value;

    fn send<'s>(value: Self::Item<'s>, attaching: &mut Attaching) -> Self::Sent<'s> {
        A::put(value, attaching)
    }

    fn reply(reply: Reply<A::Root>, attached: &mut Attached) -> Result<A::Value, NoReference> {
        A::take(*reply, attached)
    }

    fn request(
        request: Request<A::Root>,
        attached: &mut Attached,
    ) -> Result<A::Value, NoReference> {
        A::take(*request, attached)
    }
}

/// The arguments of a call, with what goes ahead of them.
pub trait Arguments {
    /// Their tuple.
    type Root: Shared;

    /// Takes them apart.
    fn split(self) -> (Self::Root, Option<Box<Attaching>>);
}

impl<A: Shared> Arguments for A {
    type Root = A;

    #[inline]
    fn split(self) -> (A, Option<Box<Attaching>>) {
        (self, None)
    }
}

/// Arguments some of which are only named by their tuple.
#[derive(Debug)]
pub struct With<A>(pub A, pub Attaching);

impl<A: Shared> Arguments for With<A> {
    type Root = A;

    fn split(self) -> (A, Option<Box<Attaching>>) {
        (self.0, Some(Box::new(self.1)))
    }
}

/// What a caller has of a reply of this type.
pub type Replied<R> = <<R as Travel>::As as Way>::Reply;

/// What of this type goes in a root.
pub type Rooted<T> = <<T as Travel>::As as Way>::Root;

/// What a handler or a caller has of what goes ahead.
pub type Carried<T> = <<T as Travel>::As as Attach>::Value;

/// Has a value go along with arguments.
#[inline]
pub fn put<T: Travel<As: Attach>>(value: Carried<T>, attaching: &mut Attaching) -> Rooted<T> {
    <T::As as Attach>::put(value, attaching)
}

/// What is given to be sent on a stream, in a scope.
pub type Item<'s, T> = <<T as Travel>::As as Way>::Item<'s>;

/// What a handler has of a stream's item.
pub type Requested<T> = <<T as Travel>::As as Way>::Request;
