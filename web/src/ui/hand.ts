/** What a person points with, in words. */

export const touches = matchMedia('(pointer: coarse)').matches
export const pointer = touches ? 'finger' : 'pointer'
export const click = touches ? 'tap' : 'click'
