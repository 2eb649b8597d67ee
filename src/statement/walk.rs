//! Walks over the syntax tree: each expression, relation and query below a node is passed to a visitor.
//!
//! sqlparser's own walk is generic over the visitor, so every visitor compiles the walk over all types of the tree again. That
//! was a quarter of the program's functions. Here each kind of node has one walk, and the visitor is called through a pointer.

use std::ops::ControlFlow;

use sqlparser::ast::{
    Expr, ObjectName, Query, Select, Statement, TableFactor, ValueWithSpan, Visit, VisitMut, Visitor, VisitorMut,
};

/// Passes the nodes of `tree` to `visitor`, until it breaks.
pub(crate) fn read<V: Visitor>(tree: &impl Visit, visitor: &mut V) -> ControlFlow<V::Break> {
    let mut stopping = Stopping { visitor, stopped: None };
    #[expect(clippy::disallowed_methods, reason = "this is the one walk")]
    let _ = tree.visit(&mut Reader(&mut stopping));
    stopping.stopped.map_or(ControlFlow::Continue(()), ControlFlow::Break)
}

/// Passes the nodes of `tree` to `visitor`, which may change them, until it breaks.
pub(crate) fn rewrite<V: VisitorMut>(tree: &mut impl VisitMut, visitor: &mut V) -> ControlFlow<V::Break> {
    let mut stopping = Stopping { visitor, stopped: None };
    #[expect(clippy::disallowed_methods, reason = "this is the one walk")]
    let _ = tree.visit(&mut Writer(&mut stopping));
    stopping.stopped.map_or(ControlFlow::Continue(()), ControlFlow::Break)
}

/// Calls `each` for every expression in `tree`, a parent before its children.
pub(crate) fn expressions<B>(tree: &impl Visit, each: impl FnMut(&Expr) -> ControlFlow<B>) -> ControlFlow<B> {
    read(tree, &mut Expressions(each))
}

/// Calls `each` for every expression in `tree`, the children before their parent.
pub(crate) fn rewrite_expressions<B>(
    tree: &mut impl VisitMut,
    each: impl FnMut(&mut Expr) -> ControlFlow<B>,
) -> ControlFlow<B> {
    rewrite(tree, &mut Expressions(each))
}

struct Expressions<F>(F);

impl<B, F: FnMut(&Expr) -> ControlFlow<B>> Visitor for Expressions<F> {
    type Break = B;

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<B> {
        (self.0)(expr)
    }
}

impl<B, F: FnMut(&mut Expr) -> ControlFlow<B>> VisitorMut for Expressions<F> {
    type Break = B;

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<B> {
        (self.0)(expr)
    }
}

/// A visitor, and the value with which it broke. Its own break has no value, so that all visitors have one type behind a pointer.
struct Stopping<'v, V, B> {
    visitor: &'v mut V,
    stopped: Option<B>,
}

impl<V, B> Stopping<'_, V, B> {
    fn stop(&mut self, step: impl FnOnce(&mut V) -> ControlFlow<B>) -> ControlFlow<()> {
        step(self.visitor).map_break(|value| self.stopped = Some(value))
    }
}

struct Reader<'v>(&'v mut dyn Visitor<Break = ()>);

struct Writer<'v>(&'v mut dyn VisitorMut<Break = ()>);

/// The methods of `$visitor`, in a `Stopping` and in the pointer to it.
macro_rules! forward {
    ($visitor:ident, $pointer:ident, $form:ident, $($method:ident: $node:ty),+) => {
        impl<V: $visitor> $visitor for Stopping<'_, V, V::Break> {
            type Break = ();

            $(fn $method(&mut self, node: $form<'_, $node>) -> ControlFlow<()> {
                self.stop(|visitor| visitor.$method(node))
            })+
        }

        impl $visitor for $pointer<'_> {
            type Break = ();

            $(fn $method(&mut self, node: $form<'_, $node>) -> ControlFlow<()> {
                self.0.$method(node)
            })+
        }
    };
}

/// `forward` with all methods of the two visitor traits.
macro_rules! forward_all {
    ($visitor:ident, $pointer:ident, $form:ident) => {
        forward!(
            $visitor, $pointer, $form,
            pre_visit_query: Query, post_visit_query: Query,
            pre_visit_select: Select, post_visit_select: Select,
            pre_visit_relation: ObjectName, post_visit_relation: ObjectName,
            pre_visit_table_factor: TableFactor, post_visit_table_factor: TableFactor,
            pre_visit_expr: Expr, post_visit_expr: Expr,
            pre_visit_statement: Statement, post_visit_statement: Statement,
            pre_visit_value: ValueWithSpan, post_visit_value: ValueWithSpan
        );
    };
}

type Shared<'n, N> = &'n N;

type Unique<'n, N> = &'n mut N;

forward_all!(Visitor, Reader, Shared);
forward_all!(VisitorMut, Writer, Unique);
