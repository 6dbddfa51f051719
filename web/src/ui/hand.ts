/** What a person points with, in words, and when a finger means it. */

export const touches = matchMedia('(pointer: coarse)').matches
export const pointer = touches ? 'finger' : 'pointer'
export const click = touches ? 'tap' : 'click'

/** css pixels that a finger moves sideways before it moves a slider: it may be there to scroll. */
export const SIDEWAYS = 6
