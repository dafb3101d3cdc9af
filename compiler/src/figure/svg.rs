//! A figure as an image, from top to bottom.

use std::fmt::Write as _;

use crate::figure::layers::{Placed, place};
use crate::figure::{Figure, Role};

/// The height of a box.
const BOX: f64 = 38.0;

/// From the top of one layer to the top of the next.
const STEP: f64 = 66.0;

/// Around everything.
const MARGIN: f64 = 24.0;

/// The width of a letter.
const LETTER: f64 = 7.3;

/// Letters of a box's first line.
const LONGEST: usize = 44;

/// `figure` as an SVG image.
#[must_use]
pub fn svg(figure: &Figure) -> String {
    let titles: Vec<String> = figure.boxes.iter().map(|part| shortened(&part.title)).collect();
    let widths: Vec<f64> = figure
        .boxes
        .iter()
        .zip(&titles)
        .map(|(part, title)| title.chars().count().max(part.shape.chars().count()) as f64 * LETTER + 22.0)
        .collect();
    let edges: Vec<(usize, usize)> = figure.edges.iter().copied().collect();
    let placed = place(&widths, &edges);
    let bounds = Bounds::of(&placed, &widths);
    let mut text = head(figure, &bounds);
    for route in &placed.routes {
        let _ = writeln!(text, "  <path class=\"edge\" d=\"{}\"/>", path(route, &bounds));
    }
    for (number, part) in figure.boxes.iter().enumerate() {
        let class = match part.role {
            Role::Input | Role::Output => "end",
            Role::Stage => "stage",
            Role::Training => "training",
        };
        let (middle, top) = (bounds.x(placed.middles[number]), bounds.y(placed.layers[number]));
        let left = middle - widths[number] / 2.0;
        let width = widths[number];
        let (first, second) = (top + 16.0, top + 31.0);
        let (title, shape) = (escaped(&titles[number]), escaped(&part.shape));
        let _ = writeln!(
            text,
            "  <rect class=\"{class}\" x=\"{left:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{BOX}\" rx=\"6\"/>\n  \
             <text x=\"{middle:.1}\" y=\"{first:.1}\">{title}</text>\n  \
             <text class=\"shape\" x=\"{middle:.1}\" y=\"{second:.1}\">{shape}</text>"
        );
    }
    text.push_str("</svg>\n");
    text
}

/// What the image shows of the plane.
struct Bounds {
    left: f64,
    width: f64,
    height: f64,
}

impl Bounds {
    fn of(placed: &Placed, widths: &[f64]) -> Bounds {
        let points = placed.routes.iter().flatten().map(|(_, middle)| (*middle, 0.0));
        let boxes = placed.middles.iter().copied().zip(widths.iter().map(|width| width / 2.0));
        let (mut left, mut right) = (0.0_f64, 0.0_f64);
        for (middle, half) in points.chain(boxes) {
            left = left.min(middle - half);
            right = right.max(middle + half);
        }
        let last = placed.layers.iter().max().copied().unwrap_or(0);
        let height = last as f64 * STEP + BOX + 2.0 * MARGIN;
        Bounds { left, width: right - left + 2.0 * MARGIN, height }
    }

    fn x(&self, middle: f64) -> f64 {
        middle - self.left + MARGIN
    }

    /// The top of the boxes of `layer`.
    fn y(&self, layer: usize) -> f64 {
        layer as f64 * STEP + MARGIN
    }
}

fn head(figure: &Figure, bounds: &Bounds) -> String {
    let (width, height) = (bounds.width, bounds.height);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" viewBox=\"0 0 {width:.0} \
         {height:.0}\">\n  <title>{}</title>\n  <style>\n    \
         rect {{ fill: #ffffff; stroke: #3b4a5e; stroke-width: 1.2 }}\n    \
         rect.end {{ fill: #e3ebf6 }}\n    \
         rect.training {{ stroke-dasharray: 5 3 }}\n    \
         text {{ font: 12px monospace; text-anchor: middle; fill: #1c2430 }}\n    \
         text.shape {{ font-size: 11px; fill: #5b6b80 }}\n    \
         path.edge {{ fill: none; stroke: #7d8da3; stroke-width: 1.3; marker-end: url(#arrow) }}\n  </style>\n  \
         <defs><marker id=\"arrow\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"7\" markerHeight=\"7\" \
         orient=\"auto\"><path d=\"M0 0L8 4L0 8z\" fill=\"#7d8da3\"/></marker></defs>\n  \
         <rect x=\"0\" y=\"0\" width=\"{width:.0}\" height=\"{height:.0}\" style=\"stroke: none\"/>\n",
        escaped(&figure.title)
    )
}

/// A line through the points of `route`: straight down past the boxes of a layer, curved between layers.
fn path(route: &[(usize, f64)], bounds: &Bounds) -> String {
    let mut text = String::new();
    for (place, pair) in route.windows(2).enumerate() {
        let (from, to) = (bounds.x(pair[0].1), bounds.x(pair[1].1));
        let (top, bottom) = (bounds.y(pair[0].0) + BOX, bounds.y(pair[1].0));
        let middle = f64::midpoint(top, bottom);
        if place == 0 {
            let _ = write!(text, "M{from:.1} {top:.1}");
        } else {
            let _ = write!(text, "L{from:.1} {top:.1}");
        }
        let _ = write!(text, "C{from:.1} {middle:.1} {to:.1} {middle:.1} {to:.1} {bottom:.1}");
    }
    text
}

fn shortened(title: &str) -> String {
    if title.chars().count() <= LONGEST {
        return title.to_owned();
    }
    title.chars().take(LONGEST - 1).chain(['…']).collect()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
