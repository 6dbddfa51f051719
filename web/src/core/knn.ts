/**
 * Some images of the set, each joined with those near it: the ways there are through a latent space of
 * more than two dimensions. An edge is as long as its two decoded images are apart.
 */

import { graphPath, type Decode, type Graph, type Stretch } from './geodesic'
import { nearestRows } from './neighbours'
import type { Points } from './points'
import { distance, row, stack, take, type Numbers } from './rows'
import type { DataSource } from './source'

/** Edges from a place that is no node. */
const JOINED = 8
/** The neighbour whose distance says how lonely a place is. */
const TENTH = 10

export class Knn {
  readonly count: number
  /** Typical distance of a node from its tenth neighbour. */
  private readonly typical: number

  constructor(
    /** Codes of the nodes, a row of `D` numbers each. */
    private readonly nodes: Float32Array,
    private readonly D: number,
    private readonly graph: Omit<Graph, 'count'>,
  ) {
    this.count = nodes.length / D
    const radii = Array.from({ length: this.count }, (_, i) => this.radius(row(nodes, D, i), TENTH + 1))
    this.typical = radii.sort((a, b) => a - b)[this.count >> 1]
  }

  /**
   * By how much the data stretch the way at a place: 1 + λ max(0, h − log q), with log q = −D log r up to
   * a constant, r the distance to the tenth node (Loftsgaarden and Quesenberry, 1965).
   */
  stretch(weight: number): Stretch {
    if (!weight) return () => 1
    return (z) => 1 + weight * this.D * Math.max(0, Math.log(this.radius(z, TENTH) / this.typical))
  }

  private radius(z: Numbers, count: number): number {
    return nearestRows(this.nodes, this.D, z, count).at(-1)!.distance
  }

  /** The shortest path from exactly a to exactly b by way of nodes; null between islands. */
  async path(a: Float32Array, b: Float32Array, decode: Decode, stretch: Stretch): Promise<Float32Array | null> {
    const { nodes, D, count } = this
    const ends = await Promise.all([a, b].map((end) => this.joinedTo(end, decode)))
    const edges = ends.flatMap(({ near }, i) => near.flatMap((node) => [count + i, node]))
    const graph: Graph = {
      count: count + 2,
      edges: Uint32Array.from([...this.graph.edges, ...edges]),
      lengths: Float32Array.from([...this.graph.lengths, ...ends.flatMap(({ lengths }) => lengths)]),
    }
    const place = (node: number): Float32Array => (node < count ? row(nodes, D, node) : node > count ? b : a)
    const stretches = Float32Array.from({ length: count + 2 }, (_, node) => stretch(place(node)))
    const found = graphPath(graph, count, count + 1, (node) => stretches[node])
    return found && stack(found.map(place))
  }

  /** The nodes nearest to a place, and how far their images are from its own. */
  private async joinedTo(z: Float32Array, decode: Decode): Promise<{ near: number[]; lengths: number[] }> {
    const { nodes, D } = this
    const near = nearestRows(nodes, D, z, JOINED).map(({ index }) => index)
    const images = await decode(stack([z, ...near.map((node) => row(nodes, D, node))]))
    const pixels = images.length / (near.length + 1)
    const own = row(images, pixels, 0)
    return { near, lengths: near.map((_, i) => distance(own, row(images, pixels, i + 1))) }
  }
}

/** The graph that came with the page. */
export async function loadKnn(source: DataSource, points: Points): Promise<Knn> {
  const [chosen, edges, lengths] = await Promise.all([
    source.integers('knn_nodes'),
    source.integers('knn_edges'),
    source.floats('knn_lengths'),
  ])
  const nodes = take(points.latents, points.D, chosen)
  return new Knn(nodes, points.D, { edges: Uint32Array.from(edges), lengths })
}
