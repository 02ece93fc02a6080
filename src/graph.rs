//! A directed acyclic graph: order, a named cycle, what is ready. Knows no word of the domain.

use std::collections::BTreeMap;

use petgraph::algo::tarjan_scc;
use petgraph::graph::{DiGraph, NodeIndex};

/// Nodes of type `N`, told apart by `I`, and which of them have to come before which.
#[derive(Debug, Clone)]
pub struct Dag<I, N> {
    graph: DiGraph<(I, N), ()>,
    index: BTreeMap<I, NodeIndex>,
}

impl<I: Ord + Clone, N> Default for Dag<I, N> {
    fn default() -> Self {
        Self { graph: DiGraph::new(), index: BTreeMap::new() }
    }
}

impl<I: Ord + Clone, N> Dag<I, N> {
    /// Adds a node; one with that identity is replaced.
    pub fn add(&mut self, id: I, node: N) {
        match self.index.get(&id) {
            Some(at) => self.graph[*at].1 = node,
            None => {
                let at = self.graph.add_node((id.clone(), node));
                self.index.insert(id, at);
            }
        }
    }

    /// Says that `first` comes before `then`. Nothing happens if either is not there, and a second saying changes nothing.
    pub fn order(&mut self, first: &I, then: &I) {
        if let (Some(a), Some(b)) = (self.index.get(first), self.index.get(then)) {
            self.graph.update_edge(*a, *b, ());
        }
    }

    /// Says that `first` comes before `then`, for a pair that has surely not been said yet: without the search for it.
    pub fn order_new(&mut self, first: &I, then: &I) {
        if let (Some(a), Some(b)) = (self.index.get(first), self.index.get(then)) {
            self.graph.add_edge(*a, *b, ());
        }
    }

    /// The node of an identity.
    #[must_use]
    pub fn get(&self, id: &I) -> Option<&N> {
        self.index.get(id).map(|at| &self.graph[*at].1)
    }

    /// How many nodes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.graph.node_count()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The identities of all nodes, in their own order.
    pub fn ids(&self) -> impl Iterator<Item = &I> {
        self.index.keys()
    }

    /// What has to come directly before a node, in the order of identities.
    #[must_use]
    pub fn before(&self, id: &I) -> Vec<&I> {
        self.neighbours(id, petgraph::Direction::Incoming)
    }

    /// What has to come directly after a node, in the order of identities.
    #[must_use]
    pub fn after(&self, id: &I) -> Vec<&I> {
        self.neighbours(id, petgraph::Direction::Outgoing)
    }

    fn neighbours(&self, id: &I, direction: petgraph::Direction) -> Vec<&I> {
        let Some(at) = self.index.get(id) else { return Vec::new() };
        let mut found: Vec<&I> = self.graph.neighbors_directed(*at, direction).map(|n| &self.graph[n].0).collect();
        found.sort();
        found.dedup();
        found
    }

    /// All identities so that each comes after those that have to come before it; among those that may come next, the
    /// smallest first, so that equal graphs give equal orders.
    ///
    /// # Errors
    /// When there is a cycle: its members, each before the next, the last before the first.
    pub fn sorted(&self) -> Result<Vec<I>, Vec<I>> {
        use std::cmp::Reverse;
        let mut waiting: Vec<usize> = vec![0; self.graph.node_count()];
        for edge in self.graph.raw_edges() {
            waiting[edge.target().index()] += 1;
        }
        let mut ranks = vec![0_usize; self.graph.node_count()];
        let mut by_rank = Vec::with_capacity(self.graph.node_count());
        for (rank, at) in self.index.values().enumerate() {
            ranks[at.index()] = rank;
            by_rank.push(*at);
        }
        let mut ready: std::collections::BinaryHeap<Reverse<usize>> =
            by_rank.iter().filter(|at| waiting[at.index()] == 0).map(|at| Reverse(ranks[at.index()])).collect();
        let mut order = Vec::with_capacity(by_rank.len());
        while let Some(Reverse(rank)) = ready.pop() {
            let at = by_rank[rank];
            order.push(self.graph[at].0.clone());
            for next in self.graph.neighbors(at) {
                waiting[next.index()] -= 1;
                if waiting[next.index()] == 0 {
                    ready.push(Reverse(ranks[next.index()]));
                }
            }
        }
        if order.len() == by_rank.len() { Ok(order) } else { Err(self.cycle()) }
    }

    /// One shortest way round in the first strongly connected part; empty if there is none.
    fn cycle(&self) -> Vec<I> {
        for part in tarjan_scc(&self.graph) {
            let looped = part.len() > 1 || self.graph.contains_edge(part[0], part[0]);
            if !looped {
                continue;
            }
            let inside: std::collections::BTreeSet<NodeIndex> = part.iter().copied().collect();
            let start = *part.iter().min_by_key(|at| &self.graph[**at].0).expect("invariant: a part has a member");
            return self.way_round(start, &inside);
        }
        Vec::new()
    }

    fn way_round(&self, start: NodeIndex, inside: &std::collections::BTreeSet<NodeIndex>) -> Vec<I> {
        let mut came_from: BTreeMap<NodeIndex, NodeIndex> = BTreeMap::new();
        let mut queue = std::collections::VecDeque::from([start]);
        while let Some(at) = queue.pop_front() {
            for next in self.graph.neighbors(at).filter(|n| inside.contains(n)) {
                if next == start {
                    let mut way = vec![at];
                    let mut back = at;
                    while back != start {
                        back = came_from[&back];
                        way.push(back);
                    }
                    way.reverse();
                    return way.into_iter().map(|n| self.graph[n].0.clone()).collect();
                }
                came_from.entry(next).or_insert_with(|| {
                    queue.push_back(next);
                    at
                });
            }
        }
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dag(nodes: &[&'static str], orders: &[(&'static str, &'static str)]) -> Dag<&'static str, ()> {
        let mut dag = Dag::default();
        nodes.iter().for_each(|n| dag.add(*n, ()));
        orders.iter().for_each(|(a, b)| dag.order(a, b));
        dag
    }

    #[test]
    fn order_is_by_need_then_by_name() {
        assert_eq!(dag(&["c", "b", "a", "d"], &[("d", "a")]).sorted().unwrap(), ["b", "c", "d", "a"]);
    }

    #[test]
    fn a_cycle_is_named_link_by_link() {
        let graph = dag(&["a", "b", "c", "d"], &[("a", "b"), ("b", "c"), ("c", "a"), ("d", "a")]);
        assert_eq!(graph.sorted().unwrap_err(), ["a", "b", "c"]);
        assert_eq!(dag(&["a"], &[("a", "a")]).sorted().unwrap_err(), ["a"]);
    }
}
