//! Types and shape patterns.

use super::Printer;
use super::doc::{Doc, concat, list, text};
use crate::ast::{AxisPattern, Element, Type, TypeKind};

impl Printer<'_> {
    /// `: TYPE`, if there is one.
    pub(super) fn annotation(&mut self, ty: Option<&Type>) -> Doc {
        match ty {
            None => concat([]),
            Some(ty) => concat([text(": "), self.shape(ty)]),
        }
    }

    pub(super) fn shape(&mut self, ty: &Type) -> Doc {
        let (axes, element) = match &ty.kind {
            TypeKind::Named(name) => return text(&name.name),
            TypeKind::Tensor { axes, element } => (axes, element),
        };
        match element {
            // `class(10)` alone; anything else keeps its brackets, or it would be a name.
            Some(
                element @ Element {
                    argument: Some(_), ..
                },
            ) if axes.is_empty() && !self.writes_brackets(ty) => self.element(element),
            Some(element) => concat([self.axes(axes), text(" "), self.element(element)]),
            None => self.axes(axes),
        }
    }

    /// `[] class(10)`, for those who like it.
    fn writes_brackets(&self, ty: &Type) -> bool {
        self.original
            .between(ty.span.start, ty.span.end)
            .starts_with('[')
    }

    fn axes(&mut self, axes: &[AxisPattern]) -> Doc {
        let last = axes.len().saturating_sub(1);
        let axes = axes.iter().enumerate().map(|(index, axis)| {
            let axis = match axis {
                AxisPattern::Rest(_) => text(".."),
                AxisPattern::Size(size) => self.expression(size),
            };
            let comma = if index < last { "," } else { "" };
            concat([axis, text(comma)])
        });
        let axes = axes.collect();
        list("[", axes, "]", false)
    }

    fn element(&mut self, element: &Element) -> Doc {
        match &element.argument {
            None => text(&element.name.name),
            Some(argument) => concat([
                text(format!("{}(", element.name.name)),
                self.expression(argument),
                text(")"),
            ]),
        }
    }
}
