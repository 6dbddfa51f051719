/** Where the person is, as a link, a saved copy, or a view with a name. */

import { checkedViews, fits, readLink, writeLink, type NamedView, type SavedView } from '../core/link'
import { recall, remember } from '../core/storage'
import { distance, norm } from '../core/rows'
import type { Explorer } from './explorer.svelte'
import { morphOf } from './morph.svelte'
import { regionsOf } from './regions.svelte'
import { oneOf } from './lasting.svelte'

const SETTLED_MILLISECONDS = 400
/** How far a code is moved by its five digits in a link, at most, as a share of its length. */
const LINKED = 1e-4

export class Saved {
  views = $state.raw<readonly NamedView[]>([])
  private timer = 0
  private restored = false

  constructor(private readonly explorer: Explorer) {}

  /** All there is to say about where the person is. */
  now(): SavedView {
    const { explorer } = this
    const { view, toPlane } = explorer.viewport
    const { ends } = explorer
    const { pin } = explorer.pins
    const { plane } = explorer.planes
    const [x, y] = toPlane(view.width / 2, view.height / 2)
    const morph = morphOf(explorer)
    const list = (z: Float32Array | null | undefined): number[] | undefined =>
      z ? Array.from(z) : undefined
    return {
      x,
      y,
      k: view.scale / this.whole,
      a: list(ends.a),
      b: list(ends.b),
      p: list(pin?.z),
      w: morph.waypoints.map((z) => Array.from(z)),
      m: ends.a && ends.b ? morph.kind : undefined,
      l: morph.weight || undefined,
      d: plane === explorer.planes.list[0] ? undefined : plane.id,
      r: [...regionsOf(explorer).named],
    }
  }

  /** The zoom at which all of the plane fills the window's shorter side: link and window need not agree. */
  private get whole(): number {
    const { view } = this.explorer.viewport
    const { home } = this.explorer.planes
    const side = Math.max(home.x[1] - home.x[0], home.y[1] - home.y[0])
    return Math.min(view.width, view.height) / side
  }

  link = (): string => location.href.replace(/#.*$/, '') + writeLink(this.now())

  /** Whether a link holds all regions. */
  get fits(): boolean {
    return fits({ r: [...regionsOf(this.explorer).named] })
  }

  /** Goes where a view says; what does not belong to this model is left out. */
  go({ x, y, k, a, b, p, w, m, l, d, r }: SavedView, milliseconds = 0): void {
    const { explorer } = this
    const { D } = explorer.points
    const code = (z: number[] | undefined): Float32Array | null =>
      z?.length === D ? Float32Array.from(z) : null
    const plane = d ? explorer.planes.of(d) : null
    if (plane && plane !== explorer.planes.plane) explorer.usePlane(plane, 0)
    if (r) regionsOf(explorer).adopt(r)
    const morph = morphOf(explorer)
    if (code(a) || code(b)) explorer.ends = { a: code(a), b: code(b) }
    morph.waypoints = (w ?? []).map(code).filter((z) => z !== null)
    if (m) morph.kind = m
    if (l !== undefined) morph.weight = Math.min(1, Math.max(0, l))
    if (m && code(a) && code(b) && explorer.continuous) explorer.mode = 'morph'
    const pinned = code(p)
    if (pinned) this.pin(pinned)
    if (x !== undefined && y !== undefined && k !== undefined && k > 0)
      this.centre(x, y, k, milliseconds)
  }

  /** Pins the image that a code in a link stands for, or else the code itself. */
  private pin(z: Float32Array): void {
    const { explorer } = this
    const [near] = explorer.points.nearest(z, 1)
    const same = explorer.pins.list.find((pin) => distance(pin.z, z) <= LINKED * norm(z))
    if (same) explorer.pins.choose(same.id)
    else if (near && near.distance <= LINKED * norm(z)) void explorer.pins.addImage(near.index)
    else void explorer.pins.add({ z, label: 'from the link', original: null, sigma: null })
  }

  private centre(u: number, v: number, zoom: number, milliseconds: number): void {
    const { view, camera } = this.explorer.viewport
    const scale = zoom * this.whole
    const at = { x: view.width / 2 - u * scale, y: view.height / 2 + v * scale }
    camera?.show({ ...view, scale, ...at }, milliseconds)
  }

  /**
   * Goes where the address says, or where a saved copy was; its views and this browser's come along.
   * Once: the panel that asks for it may be opened again.
   */
  restore(): void {
    if (this.restored) return
    this.restored = true
    const linked = readLink(location.hash)
    const baked = readCopy(document.getElementById('state')?.textContent ?? '{}')
    this.go(Object.keys(linked).length ? linked : baked.view)
    this.adopt(baked.views)
    this.adopt(recall(this.key))
  }

  private adopt(views: unknown): void {
    const news = checkedViews(views)
    const names = new Set(news.map(({ name }) => name))
    this.views = [...this.views.filter(({ name }) => !names.has(name)), ...news]
  }

  /** What a saved copy holds. */
  copy(): SavedView & { views: readonly NamedView[] } {
    return { ...this.now(), views: this.views }
  }

  private get key(): string {
    const { run, created } = this.explorer.manifest
    return `vaescape views ${run} ${created}`
  }

  /** Writes the view into the address once it has come to rest. */
  follow(): void {
    clearTimeout(this.timer)
    const link = writeLink(this.now())
    this.timer = window.setTimeout(() => {
      try {
        history.replaceState(null, '', link)
      } catch {
        return
      }
    }, SETTLED_MILLISECONDS)
  }

  keep(name: string): void {
    const link = writeLink(this.now())
    this.views = [...this.views.filter((view) => view.name !== name), { name, link }]
    remember(this.key, this.views)
  }

  forget(at: number): void {
    this.views = this.views.toSpliced(at, 1)
    remember(this.key, this.views)
  }

  open(view: NamedView): void {
    this.go(readLink(view.link), 500)
  }
}

/** What a saved copy holds; it was written by this page, yet is read with the same care as a link. */
function readCopy(text: string): { view: SavedView; views: unknown } {
  try {
    const { r, views, ...rest } = JSON.parse(text) as SavedView & { views?: unknown }
    return { view: { ...readLink(writeLink(rest)), r }, views }
  } catch {
    return { view: {}, views: [] }
  }
}

export const savedOf = oneOf((explorer) => new Saved(explorer))
