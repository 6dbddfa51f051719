/** The layer of points: which style each has, and the pixels of a frame. */

import { cividis } from '../core/colours'
import { kernel, type Kernel } from '../core/glyphs'
import { adaptiveAlpha, countVisible, rasterise, rgb, type Style } from '../core/raster'
import type { View } from '../core/view'
import type { Explorer } from '../state/explorer.svelte'

const RAMP = 32
export const DIMMED = 0.12
/** Where on the ramp the points' scale begins: its darkest colours are lost on the map. */
export const FROM = 0.25

export class Dots {
  private image: ImageData | null = null
  private readonly kernels = new Map<string, Kernel>()
  private steps: { kinds: Uint8Array; colours: Uint8Array } | null = null

  constructor(private readonly explorer: Explorer) {}

  /** Draws all points for a view in device pixels; `positions` may be on their way between planes. */
  draw(
    context: CanvasRenderingContext2D,
    view: View,
    ratio: number,
    positions: Float32Array,
    fade: Uint8Array | null,
    labels: ArrayLike<number> | null = this.explorer.points.labels,
    /** Points that something else draws here. */
    others = 0,
  ): void {
    const image = this.pixels(context, view)
    const radius = this.radius(view, ratio)
    const alpha = this.alpha(others + countVisible(positions, view), radius, view)
    const pass = (style: Style): void =>
      rasterise(image, positions, this.ramp() ? this.errorSteps().kinds : labels, style, view, fade)
    image.data.fill(0)
    const { highlighted, shown } = this.explorer.classes
    const styled = this.style(radius, alpha)
    if (highlighted !== null && shown[highlighted] && !this.ramp()) {
      pass({ ...styled, alphas: styled.alphas.map((a, i) => (i === highlighted ? 0 : a * DIMMED)) })
      pass({ ...styled, alphas: styled.alphas.map((_, i) => (i === highlighted ? 235 : 0)) })
    } else pass(styled)
    context.putImageData(image, 0, 0)
  }

  private pixels(context: CanvasRenderingContext2D, view: View): ImageData {
    if (this.image?.width !== view.width || this.image.height !== view.height)
      this.image = context.createImageData(view.width, view.height)
    return this.image
  }

  /** In device pixels: grows slowly as one zooms in, and is larger where the images are few. */
  radius(view: View, ratio: number): number {
    const { home } = this.explorer.planes
    const { layers } = this.explorer.surface
    const { insets } = this.explorer.viewport
    const width = view.width / ratio - insets.left - insets.right
    const fitted = width / (home.x[1] - home.x[0])
    const zoom = Math.max(view.scale / ratio / fitted, 0.5)
    const few = Math.min((70_000 / this.explorer.points.total) ** 0.15, 2.4)
    return Math.min(1.45 * few * zoom ** 0.42, 5.5) * layers.size * ratio
  }

  private alpha(visible: number, radius: number, view: View): number {
    return Math.min(1, adaptiveAlpha(visible, radius, view) * this.explorer.surface.layers.alpha)
  }

  private ramp(): boolean {
    return this.explorer.surface.overlay === 'error' && this.explorer.points.errors !== null
  }

  private style(radius: number, alpha: number): Style {
    const opacity = Math.round(alpha * 255)
    if (this.ramp()) return { ...this.uniform(RAMP, radius, opacity), ...this.errorSteps() }
    const { colours, shown } = this.explorer.classes
    const { manifest } = this.explorer
    const count = Math.max(manifest.data.classes.length, 1)
    const style = this.uniform(count, radius, opacity)
    colours.forEach((colour, i) => style.colours.set(rgb(colour), 3 * i))
    shown.forEach((on, i) => (style.alphas[i] = on ? opacity : 0))
    if (this.shaped(radius)) style.kernels = style.kernels.map((_, i) => this.kernel(i, radius * 1.15))
    return style
  }

  private uniform(count: number, radius: number, opacity: number): Style {
    return {
      colours: new Uint8Array(3 * count).fill(200),
      alphas: new Uint8Array(count).fill(opacity),
      kernels: Array<Kernel>(count).fill(this.kernel(0, radius)),
    }
  }

  /** Shapes where they can be told apart, and for those who ask for more contrast. */
  private shaped(radius: number): boolean {
    return radius >= 3.4 || matchMedia('(prefers-contrast: more)').matches
  }

  private kernel(shape: number, radius: number): Kernel {
    const rounded = Math.round(radius * 8) / 8
    const key = `${shape}/${rounded}`
    const known = this.kernels.get(key) ?? kernel(shape, rounded)
    this.kernels.set(key, known)
    return known
  }

  /** Errors as steps of the ramp, by rank: the page says which values the ends stand for. */
  private errorSteps(): { kinds: Uint8Array; colours: Uint8Array } {
    if (this.steps) return this.steps
    const errors = this.explorer.points.errors!
    const sorted = errors.slice().sort()
    const [lo, hi] = [sorted[Math.floor(0.01 * errors.length)], sorted[Math.floor(0.99 * errors.length)]]
    const step = (error: number): number =>
      Math.max(0, Math.min(RAMP - 1, Math.floor(((error - lo) / (hi - lo || 1)) * RAMP)))
    const colours = new Uint8Array(3 * RAMP)
    for (let i = 0; i < RAMP; i++) colours.set(cividis(FROM + ((1 - FROM) * (i + 0.5)) / RAMP), 3 * i)
    this.steps = { kinds: Uint8Array.from(errors, step), colours }
    return this.steps
  }
}
