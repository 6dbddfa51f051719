/** Colours of quantities and of classes beyond the palette. */

import { rgb } from './raster'

/** Seven stops of cividis (Nuñez et al. 2018): one order for every kind of colour vision. */
const CIVIDIS = ['#00224e', '#2a3f6d', '#575d6d', '#7d7c78', '#a59c74', '#d2c060', '#fee838']

/** r, g, b of a share in [0, 1]. */
export function cividis(share: number): [number, number, number] {
  const at = Math.min(Math.max(share, 0), 1) * (CIVIDIS.length - 1)
  const from = Math.min(Math.floor(at), CIVIDIS.length - 2)
  const [a, b] = [rgb(CIVIDIS[from]), rgb(CIVIDIS[from + 1])]
  return [0, 1, 2].map((c) => Math.round(a[c] + (b[c] - a[c]) * (at - from))) as [number, number, number]
}

/** The same ramp as a CSS gradient from the share `from` on, for legends. */
export function gradient(from = 0): string {
  const stops = CIVIDIS.map((_, i) => cividis(from + ((1 - from) * i) / (CIVIDIS.length - 1)))
  return `linear-gradient(to right, ${stops.map((stop) => `rgb(${stop.join(' ')})`).join(', ')})`
}

/** The colours given, and for classes without one, hues a golden angle apart. */
export function classColours(given: string[], count: number): string[] {
  return Array.from({ length: count }, (_, i) => given[i] ?? spaced(i))
}

function spaced(i: number): string {
  const hue = (i * 137.508) % 360
  const lightness = [0.62, 0.48, 0.76][i % 3]
  return hex(hue, 0.6, lightness)
}

/** "#rrggbb" of hue (degrees), saturation and lightness. */
function hex(hue: number, saturation: number, lightness: number): string {
  const reach = saturation * Math.min(lightness, 1 - lightness)
  const channel = (n: number): string => {
    const k = (n + hue / 30) % 12
    const value = lightness - reach * Math.max(-1, Math.min(k - 3, 9 - k, 1))
    return Math.round(255 * value).toString(16).padStart(2, '0')
  }
  return `#${channel(0)}${channel(8)}${channel(4)}`
}
