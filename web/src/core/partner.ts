/** What the page of a run and the outer page that shows it beside another one tell each other. */

/** What both maps show alike; images are numbers of points, the same in both. */
export interface Shared {
  /** The image that is pointed at. */
  hover: number | null
  pins: number[]
  /** The images that were lassoed last, in either map. */
  selection: number[]
  /** Which classes are drawn, and the one that stands out. */
  shown: boolean[]
  highlighted: number | null
  theme: 'auto' | 'dark' | 'light'
  /** What is in the middle of the map, and css pixels per unit; only while the second map lies as the first. */
  view: { u: number; v: number; scale: number }
}

/** Where an image is on the screen, in css pixels of its page, and its class's colour; null: it is not seen. */
export type Spot = { x: number; y: number; colour: string } | null

/** From the outer page to a run's. */
export interface Order {
  shared?: Partial<Shared>
  /** Images whose places it wants to know. */
  watch?: number[]
  /** Whether the second map lies as the first one. */
  aligned?: boolean
}

/** From a run's page to the outer one. */
export interface Report {
  /** Once, when the page listens. */
  ready?: true
  shared?: Partial<Shared>
  /** Where the images of the last `watch` are. */
  spots?: Spot[]
}

/** Most lines between the maps, and most images that are marked. */
export const MOST_LINES = 150
export const MOST_MARKED = 800

/** At most `most` of some images, evenly spread over them. */
export const some = (images: readonly number[], most: number): number[] =>
  images.length <= most
    ? [...images]
    : Array.from({ length: most }, (_, i) => images[Math.floor((i * images.length) / most)])
