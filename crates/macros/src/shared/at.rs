//! The same type in another scope: `Order<'s>` becomes `Order<'a>`, and
//! `Pair<A, B>` becomes `Pair<A::At<'a>, B::At<'a>>`.

use quote::{ToTokens, quote};
use syn::visit_mut::{self, VisitMut};
use syn::{
    GenericParam, Generics, Ident, Lifetime, Type, TypeParamBound, TypePath, WherePredicate,
    parse_quote,
};

use super::model::Model;

/// The parameters of a type as its implementation of `Shared` has them.
pub(crate) struct Scoped<'m> {
    scope: Option<&'m Lifetime>,
    types: Vec<Ident>,
    /// The type's own parameters, without defaults, every type being `Shared`.
    pub(crate) generics: Generics,
}

impl<'m> Scoped<'m> {
    pub(crate) fn of(model: &'m Model) -> Self {
        let mut scoped = Self {
            scope: model.scope.as_ref(),
            types: model
                .generics
                .type_params()
                .map(|param| param.ident.clone())
                .collect(),
            generics: model.generics.clone(),
        };
        let moved = scoped.moved_bounds(&model.generics);
        // Bounds in two places are one too many for clippy.
        let mut bounds: Vec<WherePredicate> = Vec::new();
        for param in &mut scoped.generics.params {
            match param {
                GenericParam::Type(param) => {
                    param.eq_token = None;
                    param.default = None;
                    param.colon_token = None;
                    let (name, written) = (&param.ident, std::mem::take(&mut param.bounds));
                    let written = written.iter();
                    bounds.push(parse_quote!(#name: #(#written +)* ::nowire::Shared));
                }
                GenericParam::Const(param) => {
                    param.eq_token = None;
                    param.default = None;
                }
                GenericParam::Lifetime(_) => {}
            }
        }
        let clause = scoped.generics.make_where_clause();
        clause.predicates.extend(bounds.into_iter().chain(moved));
        scoped
    }

    /// `ty`, one of the type's own, in the scope `at`.
    pub(crate) fn moved(&self, ty: &Type, at: &Lifetime) -> Type {
        let mut ty = ty.clone();
        Mover { scoped: self, at }.visit_type_mut(&mut ty);
        ty
    }

    /// The arguments that make the type itself in the scope `at`.
    pub(crate) fn arguments(&self, at: &Lifetime) -> impl ToTokens + use<> {
        let arguments = self.generics.params.iter().map(|param| match param {
            GenericParam::Lifetime(_) => quote!(#at),
            GenericParam::Type(param) => {
                let name = &param.ident;
                quote!(<#name as ::nowire::Shared>::At<#at>)
            }
            GenericParam::Const(param) => param.ident.to_token_stream(),
        });
        quote!(<#(#arguments),*>)
    }

    /// What the user demands of the parameters must hold in every scope, and a
    /// scope is left behind when the next is entered.
    fn moved_bounds(&self, generics: &Generics) -> Vec<WherePredicate> {
        let inline = generics.type_params().map(|param| {
            let (name, bounds) = (&param.ident, &param.bounds);
            parse_quote!(#name: #bounds)
        });
        let clause = generics.where_clause.iter();
        let clause = clause.flat_map(|clause| clause.predicates.iter().cloned());
        let mut moved: Vec<WherePredicate> = inline
            .chain(clause)
            .filter_map(|predicate| self.moved_predicate(predicate))
            .collect();
        if !moved.is_empty() {
            moved.extend(self.types.iter().map(|name| {
                parse_quote! {
                    for<'nowire_at, 'nowire_next> <#name as ::nowire::Shared>::At<'nowire_at>:
                        ::nowire::Shared<
                            At<'nowire_next> = <#name as ::nowire::Shared>::At<'nowire_next>
                        >
                }
            }));
        }
        moved
    }

    fn moved_predicate(&self, predicate: WherePredicate) -> Option<WherePredicate> {
        let WherePredicate::Type(mut predicate) = predicate else {
            return None;
        };
        predicate.bounds = predicate.bounds.into_iter().filter(moves).collect();
        if predicate.bounds.is_empty() {
            return None;
        }
        let at = parse_quote!('nowire_at);
        Mover {
            scoped: self,
            at: &at,
        }
        .visit_predicate_type_mut(&mut predicate);
        let mut lifetimes = predicate.lifetimes.unwrap_or_else(|| parse_quote!(for<>));
        lifetimes.lifetimes.push(parse_quote!(#at));
        predicate.lifetimes = Some(lifetimes);
        Some(WherePredicate::Type(predicate))
    }
}

/// Whether a bound says something of the same type in another scope: that it is
/// `Shared` is known, and that it may be unsized is not said of it.
fn moves(bound: &TypeParamBound) -> bool {
    match bound {
        TypeParamBound::Trait(bound) => {
            matches!(bound.modifier, syn::TraitBoundModifier::None)
                && bound
                    .path
                    .segments
                    .last()
                    .is_none_or(|segment| segment.ident != "Shared")
        }
        _ => true,
    }
}

/// Replaces the lifetime of the scope, and each type parameter by its own `At`.
struct Mover<'a, 'm> {
    scoped: &'a Scoped<'m>,
    at: &'a Lifetime,
}

impl VisitMut for Mover<'_, '_> {
    fn visit_lifetime_mut(&mut self, lifetime: &mut Lifetime) {
        if self.scoped.scope == Some(lifetime) {
            *lifetime = self.at.clone();
        }
    }

    fn visit_type_mut(&mut self, ty: &mut Type) {
        if let Type::Path(TypePath { qself: None, path }) = ty
            && let Some(name) = path.get_ident()
            && self.scoped.types.contains(name)
        {
            let at = self.at;
            *ty = parse_quote!(<#name as ::nowire::Shared>::At<#at>);
            return;
        }
        visit_mut::visit_type_mut(self, ty);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared::parse::parse;

    fn model(text: &str) -> Model {
        let input = syn::parse_str(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        parse(input).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn text(tokens: impl ToTokens) -> String {
        tokens.to_token_stream().to_string().replace(' ', "")
    }

    #[test]
    fn a_field_moves_with_its_scope_and_its_parameters() {
        let model = model("struct S<'s, T, const N: usize>(Ptr<'s, [(T, Order<'s>); N]>);");
        let scoped = Scoped::of(&model);
        let at = parse_quote!('a);
        let moved = scoped.moved(&model.fields().next().map(|f| f.ty.clone()).unwrap(), &at);
        assert_eq!(
            text(moved),
            "Ptr<'a,[(<Tas::nowire::Shared>::At<'a>,Order<'a>);N]>"
        );
        assert_eq!(
            text(scoped.arguments(&at)),
            "<'a,<Tas::nowire::Shared>::At<'a>,N>"
        );
    }

    #[test]
    fn what_a_type_demands_is_demanded_in_every_scope() {
        let model = model("struct S<'s, T: Shared + Ord = u8>(Ptr<'s, T>) where T: 's;");
        let scoped = Scoped::of(&model);
        let (parameters, _, clause) = scoped.generics.split_for_impl();
        assert_eq!(text(parameters), "<'s,T>");
        assert_eq!(
            text(clause),
            "whereT:'s,T:Shared+Ord+::nowire::Shared,for<'nowire_at><Tas::nowire::Shared>::At<'nowire_at>:Ord,\
             for<'nowire_at><Tas::nowire::Shared>::At<'nowire_at>:'nowire_at,\
             for<'nowire_at,'nowire_next><Tas::nowire::Shared>::At<'nowire_at>:\
             ::nowire::Shared<At<'nowire_next>=<Tas::nowire::Shared>::At<'nowire_next>>"
        );
    }
}
