/** Numbers and places in words: for labels, and for those who listen to the page. */

import type { Neighbour } from './neighbours'
import type { Share } from './support'

const MINUS = '−'

/** "−1.20": fixed decimals with a true minus sign. */
export const fixed = (value: number, digits = 2): string =>
  (Object.is(Math.round(value * 10 ** digits), -0) ? 0 : value).toFixed(digits).replace('-', MINUS)

/** Three significant digits, plainly. */
export const brief = (value: number): string =>
  value.toLocaleString('en', { maximumSignificantDigits: 3 }).replace('-', MINUS)

/** "70,000": without the browser's own words for numbers, which take longer to open than the points. */
export const whole = (value: number): string => String(value).replace(/\B(?=(\d{3})+$)/g, ',')

/** "12 %", which no line breaks; what is there, yet rounds to nothing, is "under 1 %". */
export const percent = (share: number): string =>
  share > 0 && share < 0.005 ? 'under 1\u00a0%' : `${Math.round(100 * share)}\u00a0%`

/** "0.04 away", "less than 0.01 away", "at this place": a distance in the latent space. */
export const away = (distance: number): string =>
  distance === 0 ? 'at this place' : distance < 0.005 ? 'less than 0.01 away' : `${fixed(distance)} away`

/** "0.31, −1.20", at most six numbers. */
export function code(z: ArrayLike<number>): string {
  const shown = Array.from(z).slice(0, 6).map((value) => fixed(value))
  return z.length > 6 ? `${shown.join(', ')}, …` : shown.join(', ')
}

/** Who can name codes and images. */
interface Names {
  say(z: Float32Array): string
  className(index: number): string
  name(index: number): string
  readonly manifest: { data: { classes: readonly string[] } }
}

interface Said {
  nearest: Neighbour | null
  mix: Share[]
  extrapolation: boolean
}

/** "z 0.31, −1.20. Nearest: Ankle boot, 0.04 away. Neighbours 92 % Ankle boot. Predicted: Ankle boot, 97 %." */
export function describeProbe(z: Float32Array, facts: Said | null, points: Names, predicted: Share | null = null): string {
  const parts = [`${points.say(z)}.`]
  const near = facts?.nearest
  if (near) {
    const name = points.className(near.index) || points.name(near.index)
    parts.push(`Nearest: ${name}, ${away(near.distance)}.`)
  }
  const top = facts?.mix[0]
  if (top) parts.push(`Neighbours ${percent(top.share)} ${points.manifest.data.classes[top.label]}.`)
  if (predicted) parts.push(`Predicted: ${points.manifest.data.classes[predicted.label]}, ${percent(predicted.share)}.`)
  if (facts?.extrapolation) parts.push('Far from all images.')
  return parts.join(' ')
}

/** Labels in the order to list their names: as given, or 1, 2, 10 where a file system gave 1, 10, 2. */
export function listing(names: readonly string[]): number[] {
  const labels = names.map((_, label) => label)
  const alphabetic = labels.every((label) => label === 0 || names[label - 1] < names[label])
  if (!alphabetic) return labels
  return labels.sort((a, b) => names[a].localeCompare(names[b], 'en', { numeric: true }))
}
