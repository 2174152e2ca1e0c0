//! Cuts the graph into clusters, each of which becomes a kernel, and finds a home
//! for every node: the cluster in which its value comes to be.
//!
//! Products and long reductions start clusters. A pointwise node joins the latest
//! cluster among those of its operands, if it runs along with it element by
//! element: it becomes part of an epilogue. So does the optimiser's update of a parameter with
//! long rows, behind the product that is the gradient, which then never goes to memory. A
//! reduction of rows that a cluster has reduced before (the sum of a softmax after its
//! maximum) joins that cluster.
//! Everything else is at home anywhere: it is computed where it is read.
//!
//! Clusters are numbered as they start, and a cluster reads only what clusters
//! of smaller numbers store, so that their numbers are an order to run them in.

use super::cluster::{Cluster, Kind};
use super::cost;
use super::needs::{Needs, is_product, is_seed};
use crate::graph::{Contract, Graph, Node, NodeId, Op, Side, View, row_major};
use crate::index::IndexExpr;
use rustc_hash::FxHashMap;
use std::collections::BTreeSet;

/// Where a node's value comes to be.
#[derive(Clone, PartialEq, Debug)]
pub enum Home {
    /// Wherever it is read; not before this cluster has run.
    Anywhere {
        /// The latest cluster that it depends on.
        after: Option<usize>,
        /// Whether windows are reduced on the way.
        reduces: bool,
    },
    /// In a cluster, where others can have it stored.
    In {
        /// The cluster's number.
        cluster: usize,
        /// Which element belongs to a point.
        level: Level,
    },
}

/// Which element of a tensor belongs to a point of a cluster.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Level {
    /// Elements in row-major order are the outer points in row-major order.
    Point,
    /// These axes are the cluster's outer dimensions, the others those of a row.
    Row(Vec<usize>),
}

/// All clusters, and a home for each node.
pub struct Placement {
    /// In the order of running.
    pub clusters: Vec<Cluster>,
    /// By node; dead ones are at home anywhere.
    pub homes: Vec<Home>,
    /// Nodes that are tensors in memory whoever reads them.
    pub stored: BTreeSet<NodeId>,
    joining: Joining,
    /// The clusters around reductions, by their points and their rows.
    alike: FxHashMap<(Vec<usize>, Vec<usize>), Vec<usize>>,
}

/// Whether nodes may join the clusters of others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Joining {
    /// Wherever they can.
    Wherever,
    /// Each that is stored starts a cluster.
    Nowhere,
}

/// Places every node. `stored` ones are tensors in memory besides operands of products.
pub fn place(
    graph: &Graph,
    needs: &Needs,
    stored: &BTreeSet<NodeId>,
    joining: Joining,
) -> Placement {
    let nowhere = Home::Anywhere {
        after: None,
        reduces: false,
    };
    let mut placement = Placement {
        clusters: Vec::new(),
        homes: vec![nowhere; graph.nodes.len()],
        stored: BTreeSet::new(),
        joining,
        alike: FxHashMap::default(),
    };
    for id in order(graph, needs) {
        placement.homes[id.index()] = placement.home(graph, needs, stored, id);
    }
    placement
}

/// Live nodes, inputs first, each before the reductions that do not need it: so the
/// clusters in which small things are stored are early enough for all that read them.
fn order(graph: &Graph, needs: &Needs) -> Vec<NodeId> {
    let mut missing: Vec<usize> = graph.nodes.iter().map(|node| node.inputs.len()).collect();
    let mut readers: Vec<Vec<NodeId>> = vec![Vec::new(); graph.nodes.len()];
    for (id, node) in graph.iter().filter(|(id, _)| needs.live[id.index()]) {
        node.inputs
            .iter()
            .for_each(|input| readers[input.index()].push(id));
    }
    let rank = |id: NodeId| (is_seed(graph, graph.node(id)), id);
    let live = graph
        .iter()
        .filter(|(id, node)| needs.live[id.index()] && node.inputs.is_empty());
    let mut ready: BTreeSet<(bool, NodeId)> = live.map(|(id, _)| rank(id)).collect();
    let mut order = Vec::with_capacity(graph.nodes.len());
    while let Some((_, id)) = ready.pop_first() {
        order.push(id);
        for &reader in &readers[id.index()] {
            missing[reader.index()] -= 1;
            if missing[reader.index()] == 0 {
                ready.insert(rank(reader));
            }
        }
    }
    order
}

impl Placement {
    /// Where a node is at home.
    pub fn home_of(&self, id: NodeId) -> &Home {
        &self.homes[id.index()]
    }

    /// The cluster and level of a node that has one.
    pub fn cluster_of(&self, id: NodeId) -> Option<(usize, &Level)> {
        match self.home_of(id) {
            Home::In { cluster, level } => Some((*cluster, level)),
            Home::Anywhere { .. } => None,
        }
    }

    /// The latest cluster that a node depends on.
    fn after(&self, id: NodeId) -> Option<usize> {
        match self.home_of(id) {
            Home::In { cluster, .. } => Some(*cluster),
            Home::Anywhere { after, .. } => *after,
        }
    }

    fn home(
        &mut self,
        graph: &Graph,
        needs: &Needs,
        stored: &BTreeSet<NodeId>,
        id: NodeId,
    ) -> Home {
        let node = graph.node(id);
        let is_leaf = matches!(node.op, Op::Input(_) | Op::Slot(_) | Op::Constant(_));
        let must = stored.contains(&id) || (!is_leaf && needs.operands.contains(&id));
        if must {
            self.stored.insert(id);
        }
        match node.op {
            Op::Scan(_) => return self.start(Cluster::new(Kind::Repeat, &[], None)),
            Op::Gather { .. } | Op::Scatter { .. } => {
                self.stored.insert(id);
                return self.start(Cluster::new(Kind::Rows, &node.ty.shape, None));
            }
            Op::Part(_) => {
                self.stored.insert(id);
                return self.home_of(node.inputs[0]).clone();
            }
            _ => {}
        }
        if is_seed(graph, node) {
            return self.seed(graph, id, node);
        }
        if self.joining == Joining::Wherever
            && let Some((cluster, level)) = self.joins(graph, node)
            && self.clusters[cluster].kind.takes_others()
            && self.may_end(cluster, graph, needs, id)
        {
            if level == Level::Point {
                self.clusters[cluster].take(&node.ty.shape);
            }
            return Home::In { cluster, level };
        }
        if must {
            return self.start(Cluster::new(Kind::Map, &node.ty.shape, None));
        }
        let after = node.inputs.iter().filter_map(|&input| self.after(input));
        let is_window = matches!(node.op, Op::Sum { .. } | Op::MaxOver { .. });
        Home::Anywhere {
            after: after.max(),
            reduces: is_window || node.inputs.iter().any(|&input| self.reduces(input)),
        }
    }

    /// Whether a node may be part of a cluster's epilogue. What only updates slots, which lie
    /// row-major, ends a product where rows are so long that its vectors lie along them;
    /// otherwise it walks over them in a kernel of its own.
    fn may_end(&self, cluster: usize, graph: &Graph, needs: &Needs, id: NodeId) -> bool {
        let seeds = &self.clusters[cluster].seeds;
        let last = graph.ty(id).shape.last().copied().unwrap_or(1);
        let row = || seeds.iter().map(|&seed| row_of_product(graph, seed)).max();
        self.clusters[cluster].kind != Kind::Product
            || !needs.update_only[id.index()]
            || last >= cost::UPDATED_ROW
            || row() >= Some(cost::UPDATED_ROW)
    }

    /// Whether windows are reduced wherever the node is computed.
    fn reduces(&self, id: NodeId) -> bool {
        matches!(self.home_of(id), Home::Anywhere { reduces: true, .. })
    }

    fn start(&mut self, cluster: Cluster) -> Home {
        self.clusters.push(cluster);
        Home::In {
            cluster: self.clusters.len() - 1,
            level: Level::Point,
        }
    }

    /// A product starts a cluster. A reduction joins the one that its operand's rows
    /// are at home in, or one of equal rows that could read its operand; or starts one.
    fn seed(&mut self, graph: &Graph, id: NodeId, node: &Node) -> Home {
        let kind = match is_product(node) {
            true => Kind::Product,
            false => Kind::Reduction,
        };
        let rows = graph.ty(node.inputs[0]);
        let reduced = reduced_axes(node);
        if kind == Kind::Reduction
            && self.joining == Joining::Wherever
            && let Some((cluster, Level::Row(outer))) = self.cluster_of(node.inputs[0])
            && (0..rows.shape.len()).all(|axis| outer.contains(&axis) != reduced.contains(&axis))
            && self.clusters[cluster].has_room(graph, node)
        {
            self.clusters[cluster].seeds.push(id);
            return Home::In {
                cluster,
                level: Level::Point,
            };
        }
        let row: Vec<usize> = match &node.op {
            Op::Contract(contract) => contract.dims[contract.rank..].to_vec(),
            _ => reduced.iter().map(|&axis| rows.shape[axis]).collect(),
        };
        if kind == Kind::Reduction {
            let key = (node.ty.shape.clone(), row.clone());
            if let Some(cluster) = self.like(&key, graph, node) {
                self.clusters[cluster].seeds.push(id);
                return Home::In {
                    cluster,
                    level: Level::Point,
                };
            }
            let next = self.clusters.len();
            self.alike.entry(key).or_default().push(next);
        }
        let mut cluster = Cluster::new(kind, &node.ty.shape, Some(row));
        cluster.seeds.push(id);
        self.start(cluster)
    }

    /// The latest cluster around reductions of such points and rows that could read the
    /// operand of one more.
    fn like(
        &self,
        key: &(Vec<usize>, Vec<usize>),
        graph: &Graph,
        reduction: &Node,
    ) -> Option<usize> {
        if self.joining == Joining::Nowhere {
            return None;
        }
        let after = self.after(reduction.inputs[0]);
        let alike = self.alike.get(key)?.iter().rev().copied();
        let mut later = alike.take_while(|&cluster| after.is_none_or(|after| after < cluster));
        later.find(|&cluster| self.clusters[cluster].has_room(graph, reduction))
    }

    /// The cluster that computes a node along with its operands, if there is one.
    fn joins(&self, graph: &Graph, node: &Node) -> Option<(usize, Level)> {
        match &node.op {
            Op::Contract(_) | Op::Sum { .. } | Op::MaxOver { .. } | Op::ArgMax { .. } => None,
            Op::View(view) => self.view_joins(graph, node, view),
            Op::Reshape => {
                let (cluster, level) = self.cluster_of(node.inputs[0])?;
                let fits = self.clusters[cluster].fits(&node.ty.shape);
                (*level == Level::Point && fits).then_some((cluster, Level::Point))
            }
            _ => self.pointwise_joins(node),
        }
    }

    fn pointwise_joins(&self, node: &Node) -> Option<(usize, Level)> {
        let latest = node
            .inputs
            .iter()
            .filter_map(|&input| self.after(input))
            .max()?;
        let mut joined = None;
        for &input in &node.inputs {
            match self.cluster_of(input) {
                Some((cluster, level)) if cluster == latest => match joined {
                    Some(other) if other != level => return None,
                    _ => joined = Some(level),
                },
                // It has to be there before the cluster runs.
                _ if self.after(input) == Some(latest) => return None,
                _ => {}
            }
        }
        // A product's epilogue has no loops.
        let has_loops = node.inputs.iter().any(|&input| self.reduces(input));
        if self.clusters[latest].kind == Kind::Product && has_loops {
            return None;
        }
        Some((latest, joined?.clone()))
    }

    /// A view that keeps the order of all elements stays with its operand; one that
    /// repeats a reduction's results along short rows makes rows of that cluster.
    fn view_joins(&self, graph: &Graph, node: &Node, view: &View) -> Option<(usize, Level)> {
        let operand = graph.ty(node.inputs[0]);
        let (index, level) = self.cluster_of(node.inputs[0])?;
        let cluster = &self.clusters[index];
        if *level != Level::Point {
            return None;
        }
        let order = row_major(&operand.shape, 0).substitute(&view.map)?;
        let same_order = without_ones(&order, &view.shape)
            == without_ones(&row_major(&view.shape, 0), &view.shape);
        let same_elements = operand.elements() == node.ty.elements();
        if same_order && same_elements && view.stays_inside(&operand.shape) {
            return cluster.fits(&view.shape).then_some((index, Level::Point));
        }
        let outer: Vec<usize> = view
            .map
            .iter()
            .map(IndexExpr::as_dim)
            .collect::<Option<_>>()?;
        let ascending = outer.windows(2).all(|pair| pair[0] < pair[1]);
        let whole = outer
            .iter()
            .zip(&operand.shape)
            .all(|(&axis, &size)| view.shape[axis] == size);
        let row: Vec<usize> = (0..view.shape.len())
            .filter(|axis| !outer.contains(axis))
            .map(|axis| view.shape[axis])
            .collect();
        let lies_together = outer
            .iter()
            .enumerate()
            .all(|(position, &axis)| position == axis);
        let longest = match lies_together {
            true => cost::LONGEST_ROW,
            false => cost::NEAR_ROW,
        };
        let rows_agree = cluster.kind == Kind::Reduction
            && !operand.shape.is_empty()
            && operand.shape == cluster.shape
            && cluster.row.as_ref() == Some(&row)
            && row.iter().product::<usize>() <= longest;
        (ascending && whole && rows_agree).then_some((index, Level::Row(outer)))
    }
}

/// How many results of a product, row-major, are neighbours in one operand as well, along axes
/// that the other one does not know.
fn row_of_product(graph: &Graph, id: NodeId) -> usize {
    let node = graph.node(id);
    let Op::Contract(contract) = &node.op else {
        return 1;
    };
    let shape = |operand: usize| graph.ty(node.inputs[operand]).shape.as_slice();
    let in_a = neighbours_in(Side::A, shape(0), contract);
    in_a.max(neighbours_in(Side::B, shape(1), contract))
}

/// As above, in the operand of this side and shape.
fn neighbours_in(side: Side, shape: &[usize], contract: &Contract) -> usize {
    let [map, other] = [side, side.other()].map(|side| contract.access(side).map);
    let axes = map.iter().zip(shape).rev();
    let mut row = 1;
    for (dim, (index, &extent)) in (0..contract.rank).rev().zip(axes) {
        let alone =
            index.as_dim() == Some(dim) && other.iter().all(|index| index.coefficient(dim) == 0);
        if !alone {
            break;
        }
        row *= contract.dims[dim];
        if contract.dims[dim] != extent {
            break;
        }
    }
    row
}

/// The axes of its operand over which a reduction runs.
pub fn reduced_axes(node: &Node) -> Vec<usize> {
    match &node.op {
        Op::Sum { axes } | Op::MaxOver { axes } => axes.clone(),
        Op::ArgMax { axis } => vec![*axis],
        _ => Vec::new(),
    }
}

/// An index expression without the axes of extent 1, whose index is always 0.
fn without_ones(index: &IndexExpr, shape: &[usize]) -> IndexExpr {
    let terms = index.terms.iter().copied();
    let terms = terms.filter(|&(axis, _)| shape[axis] != 1);
    IndexExpr::affine(terms, index.offset).over(index.divisor)
}
