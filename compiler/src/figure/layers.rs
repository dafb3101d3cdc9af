//! Where the boxes of a figure stand: layers by the longest path, few crossings, neighbours above one another.
//!
//! Source: Sugiyama, Tagawa and Toda, *Methods for visual understanding of hierarchical system structures* (1981):
//! edges over several layers pass through places of their own, and layers are ordered by the barycentres of their
//! neighbours, from above and from below in turn.

/// Sweeps over all layers, for order and for places.
const SWEEPS: usize = 24;

/// Columns between two boxes of a layer.
const GAP: f64 = 26.0;

/// The width that an edge takes as it passes a layer.
const PASSAGE: f64 = 8.0;

/// Where everything stands.
#[derive(Clone, Debug)]
pub(super) struct Placed {
    /// The layer of every box, from 0 at the top.
    pub(super) layers: Vec<usize>,
    /// The middle of every box.
    pub(super) middles: Vec<f64>,
    /// For every edge the points it passes, one in each layer from its first box to its last: layer and middle.
    pub(super) routes: Vec<Vec<(usize, f64)>>,
}

/// Places boxes of these `widths`; every edge goes from a lower number to a higher one.
pub(super) fn place(widths: &[f64], edges: &[(usize, usize)]) -> Placed {
    let layers = longest_paths(widths.len(), edges);
    let mut net = Net::new(widths, edges, &layers);
    net.order();
    net.spread();
    let middles = net.middles[..widths.len()].to_vec();
    let routes = net
        .routes
        .iter()
        .map(|route| route.iter().map(|vertex| (net.layer_of[*vertex], net.middles[*vertex])).collect());
    let routes = routes.collect();
    Placed { layers, middles, routes }
}

/// The length of the longest path to each box; a box without edges to it stands just above its first reader.
fn longest_paths(count: usize, edges: &[(usize, usize)]) -> Vec<usize> {
    let mut sorted = edges.to_vec();
    sorted.sort_unstable();
    let mut layers = vec![0; count];
    for (from, to) in &sorted {
        layers[*to] = layers[*to].max(layers[*from] + 1);
    }
    for place in 0..count {
        let reached = edges.iter().any(|(_, to)| *to == place);
        let readers = edges.iter().filter(|(from, _)| *from == place).map(|(_, to)| layers[*to]);
        if let (false, Some(first)) = (reached, readers.min()) {
            layers[place] = first - 1;
        }
    }
    layers
}

/// Boxes, and the places where edges pass layers, as vertices; every link joins neighbouring layers.
struct Net {
    layer_of: Vec<usize>,
    widths: Vec<f64>,
    layers: Vec<Vec<usize>>,
    above: Vec<Vec<usize>>,
    below: Vec<Vec<usize>>,
    routes: Vec<Vec<usize>>,
    middles: Vec<f64>,
}

impl Net {
    fn new(widths: &[f64], edges: &[(usize, usize)], layers: &[usize]) -> Net {
        let mut layer_of = layers.to_vec();
        let mut all_widths = widths.to_vec();
        let mut routes = Vec::new();
        for (from, to) in edges {
            let mut route = vec![*from];
            for layer in layers[*from] + 1..layers[*to] {
                route.push(layer_of.len());
                layer_of.push(layer);
                all_widths.push(PASSAGE);
            }
            route.push(*to);
            routes.push(route);
        }
        let count = layer_of.len();
        let (mut above, mut below) = (vec![Vec::new(); count], vec![Vec::new(); count]);
        for pair in routes.iter().flat_map(|route| route.windows(2)) {
            below[pair[0]].push(pair[1]);
            above[pair[1]].push(pair[0]);
        }
        let mut by_layer = vec![Vec::new(); layer_of.iter().max().map_or(0, |last| last + 1)];
        for (vertex, layer) in layer_of.iter().enumerate() {
            by_layer[*layer].push(vertex);
        }
        Net {
            layer_of,
            widths: all_widths,
            layers: by_layer,
            above,
            below,
            routes,
            middles: vec![0.0; count],
        }
    }

    /// Orders the layers so that few links cross.
    fn order(&mut self) {
        let mut best = self.layers.clone();
        let mut fewest = self.crossings();
        for sweep in 0..SWEEPS {
            let down = sweep % 2 == 0;
            let count = self.layers.len();
            for step in 1..count {
                let layer = if down { step } else { count - 1 - step };
                let fixed = if down { layer - 1 } else { layer + 1 };
                let place = places(&self.layers[fixed], self.layer_of.len());
                let towards = if down { &self.above } else { &self.below };
                let own = places(&self.layers[layer], self.layer_of.len());
                let mut keyed: Vec<(f64, usize)> = self.layers[layer]
                    .iter()
                    .map(|vertex| (mean(&towards[*vertex], &place).unwrap_or(own[*vertex]), *vertex))
                    .collect();
                keyed.sort_by(|a, b| a.0.total_cmp(&b.0));
                self.layers[layer] = keyed.into_iter().map(|(_, vertex)| vertex).collect();
            }
            let crossings = self.crossings();
            if crossings < fewest {
                fewest = crossings;
                best.clone_from(&self.layers);
            }
        }
        self.layers = best;
    }

    /// How many pairs of links cross.
    fn crossings(&self) -> usize {
        let mut total = 0;
        for pair in self.layers.windows(2) {
            let place = places(&pair[1], self.layer_of.len());
            let ends = pair[0].iter().flat_map(|vertex| {
                let mut ends: Vec<f64> = self.below[*vertex].iter().map(|other| place[*other]).collect();
                ends.sort_by(f64::total_cmp);
                ends
            });
            let ends: Vec<f64> = ends.collect();
            for (at, end) in ends.iter().enumerate() {
                total += ends[..at].iter().filter(|before| *before > end).count();
            }
        }
        total
    }

    /// Gives every vertex a middle: near those of its neighbours, apart from those beside it.
    fn spread(&mut self) {
        for layer in 0..self.layers.len() {
            let wanted = vec![0.0; self.layers[layer].len()];
            self.settle(layer, &wanted);
        }
        for sweep in 0..SWEEPS {
            let count = self.layers.len();
            for step in 0..count {
                let layer = if sweep % 2 == 0 { step } else { count - 1 - step };
                let wanted: Vec<f64> = self.layers[layer]
                    .iter()
                    .map(|vertex| {
                        let near: Vec<usize> =
                            self.above[*vertex].iter().chain(&self.below[*vertex]).copied().collect();
                        mean(&near, &self.middles).unwrap_or(self.middles[*vertex])
                    })
                    .collect();
                self.settle(layer, &wanted);
            }
        }
    }

    /// The middles of a layer: as near to those wanted, from the left and from the right in equal parts, as the widths
    /// allow.
    fn settle(&mut self, layer: usize, wanted: &[f64]) {
        let row = &self.layers[layer];
        let apart =
            |left: usize, right: usize| (self.widths[row[left]] + self.widths[row[right]]) / 2.0 + GAP;
        let mut from_left = wanted.to_vec();
        for at in 1..row.len() {
            from_left[at] = from_left[at].max(from_left[at - 1] + apart(at - 1, at));
        }
        let mut from_right = wanted.to_vec();
        for at in (1..row.len()).rev() {
            from_right[at - 1] = from_right[at - 1].min(from_right[at] - apart(at - 1, at));
        }
        for (at, vertex) in row.iter().enumerate() {
            self.middles[*vertex] = f64::midpoint(from_left[at], from_right[at]);
        }
    }
}

/// The place of every vertex of `row` in it; 0 for all others.
fn places(row: &[usize], count: usize) -> Vec<f64> {
    let mut out = vec![0.0; count];
    for (place, vertex) in row.iter().enumerate() {
        out[*vertex] = place as f64;
    }
    out
}

/// The mean of the values of `vertices`, if there are any.
fn mean(vertices: &[usize], values: &[f64]) -> Option<f64> {
    let sum: f64 = vertices.iter().map(|vertex| values[*vertex]).sum();
    (!vertices.is_empty()).then(|| sum / vertices.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_follow_the_longest_path_and_inputs_stand_above_their_readers() {
        let edges = [(0, 2), (2, 3), (2, 4), (3, 4), (1, 4)];
        assert_eq!(longest_paths(5, &edges), [0, 2, 1, 2, 3]);
    }

    #[test]
    fn two_branches_do_not_cross_and_stand_apart() {
        let edges = [(0, 1), (0, 2), (1, 4), (2, 3), (3, 5), (4, 5)];
        let placed = place(&[100.0; 6], &edges);
        let side = |vertex: usize, other: usize| placed.middles[vertex] < placed.middles[other];
        assert_eq!(side(1, 2), side(4, 3));
        assert!((placed.middles[1] - placed.middles[2]).abs() >= 100.0 + GAP - 1e-9);
        assert!((placed.middles[0] - f64::midpoint(placed.middles[1], placed.middles[2])).abs() < 60.0);
    }

    #[test]
    fn a_long_edge_passes_every_layer_between() {
        let placed = place(&[50.0; 4], &[(0, 1), (1, 2), (2, 3), (0, 3)]);
        let route = &placed.routes[3];
        assert_eq!(route.iter().map(|(layer, _)| *layer).collect::<Vec<_>>(), [0, 1, 2, 3]);
        assert!((route[1].1 - placed.middles[1]).abs() >= 29.0, "the edge passes beside the box");
    }
}
