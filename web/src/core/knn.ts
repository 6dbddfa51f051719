/**
 * Some images of the set, each joined with those near it: the ways there are through a latent space of
 * more than two dimensions. An edge is as long as its two decoded images are apart.
 */

import { graphPath, weightOf, type Decode, type Graph } from './geodesic'
import { nearestRows } from './neighbours'
import type { Points } from './points'
import { distance, row, stack, take } from './rows'
import type { DataSource } from './source'

/** Edges from a place that is no node. */
const JOINED = 8

export class Knn {
  readonly count: number

  constructor(
    /** Codes of the nodes, a row of `D` numbers each. */
    private readonly nodes: Float32Array,
    private readonly D: number,
    private readonly graph: Omit<Graph, 'count'>,
    /** log q at the nodes, and at a typical code; null where the codes have no density. */
    private readonly density: { logs: Float32Array; typical: number } | null = null,
  ) {
    this.count = nodes.length / D
  }

  /** w = 1 + λ max(0, h − log q) at a node. */
  private weight(node: number, strength: number): number {
    const { density } = this
    return density && strength ? weightOf(density.logs[node], density.typical, strength) : 1
  }

  /**
   * The shortest path from exactly a to exactly b by way of nodes; null between islands. An end has the
   * density of its nearest node.
   */
  async path(
    a: Float32Array,
    b: Float32Array,
    decode: Decode,
    strength = 0,
  ): Promise<Float32Array | null> {
    const { nodes, D, count } = this
    const ends = await Promise.all([a, b].map((end) => this.joinedTo(end, decode)))
    const edges = ends.flatMap(({ near }, i) => near.flatMap((node) => [count + i, node]))
    const graph: Graph = {
      count: count + 2,
      edges: Uint32Array.from([...this.graph.edges, ...edges]),
      lengths: Float32Array.from([...this.graph.lengths, ...ends.flatMap(({ lengths }) => lengths)]),
    }
    const place = (node: number): Float32Array => (node < count ? row(nodes, D, node) : node > count ? b : a)
    const weights = Float32Array.from({ length: count + 2 }, (_, node) =>
      this.weight(node < count ? node : ends[node - count].near[0], strength),
    )
    const found = graphPath(graph, count, count + 1, (node) => weights[node])
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
  const typical = source.manifest.density?.typical
  const density =
    typical === undefined || !source.has('knn_density')
      ? null
      : { logs: await source.floats('knn_density'), typical }
  return new Knn(nodes, points.D, { edges: Uint32Array.from(edges), lengths }, density)
}
