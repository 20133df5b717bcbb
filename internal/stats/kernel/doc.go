// Package kernel has the inner loops over raw words: the innermost few lines of every statistic, in
// plain Go and in vector assembly chosen at run time by what the processor has.
//
// Rules that hold for all of them:
//
//   - A function named ...Ref is the definition; that of order statistics is sorting. Every
//     implementation computes the same bits for every input, length and alignment; one lane is one pixel
//     and all arithmetic is on integers.
//   - Exported functions check lengths and panic on mistakes of the caller; implementations trust them.
//   - Assembly sees whole vectors only and never reads or writes beyond the slices it is given.
//   - GODEBUG=cpu.avx512f=off, cpu.avx2=off (or several, with commas) switch the levels off, the build tag
//     noasm all of them; Name says which is in use.
package kernel
