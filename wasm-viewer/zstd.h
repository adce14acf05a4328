/* For the build of zstd that goes into the browser, included before each of its sources.
 *
 * Buffers are compressed whole and without a dictionary, so of each strategy the forms for
 * dictionaries and for input that is not in one piece are never chosen. In the tables that zstd
 * chooses from they become null, and the linker leaves them out: they are two thirds of the
 * compressor. */
#ifndef __ASSEMBLER__
#include "compress/zstd_double_fast.h"
#include "compress/zstd_lazy.h"
#include "compress/zstd_opt.h"

/* These headers name functions of a source that does not expect them. */
#undef FSE_isError
#undef HUF_isError

#undef ZSTD_COMPRESSBLOCK_DOUBLEFAST_DICTMATCHSTATE
#define ZSTD_COMPRESSBLOCK_DOUBLEFAST_DICTMATCHSTATE NULL
#undef ZSTD_COMPRESSBLOCK_DOUBLEFAST_EXTDICT
#define ZSTD_COMPRESSBLOCK_DOUBLEFAST_EXTDICT NULL
#undef ZSTD_COMPRESSBLOCK_BTLAZY2_DICTMATCHSTATE
#define ZSTD_COMPRESSBLOCK_BTLAZY2_DICTMATCHSTATE NULL
#undef ZSTD_COMPRESSBLOCK_BTLAZY2_EXTDICT
#define ZSTD_COMPRESSBLOCK_BTLAZY2_EXTDICT NULL
#undef ZSTD_COMPRESSBLOCK_BTOPT_DICTMATCHSTATE
#define ZSTD_COMPRESSBLOCK_BTOPT_DICTMATCHSTATE NULL
#undef ZSTD_COMPRESSBLOCK_BTOPT_EXTDICT
#define ZSTD_COMPRESSBLOCK_BTOPT_EXTDICT NULL
#undef ZSTD_COMPRESSBLOCK_BTULTRA_DICTMATCHSTATE
#define ZSTD_COMPRESSBLOCK_BTULTRA_DICTMATCHSTATE NULL
#undef ZSTD_COMPRESSBLOCK_BTULTRA_EXTDICT
#define ZSTD_COMPRESSBLOCK_BTULTRA_EXTDICT NULL
#undef ZSTD_COMPRESSBLOCK_GREEDY_DICTMATCHSTATE
#define ZSTD_COMPRESSBLOCK_GREEDY_DICTMATCHSTATE NULL
#undef ZSTD_COMPRESSBLOCK_GREEDY_DICTMATCHSTATE_ROW
#define ZSTD_COMPRESSBLOCK_GREEDY_DICTMATCHSTATE_ROW NULL
#undef ZSTD_COMPRESSBLOCK_GREEDY_DEDICATEDDICTSEARCH
#define ZSTD_COMPRESSBLOCK_GREEDY_DEDICATEDDICTSEARCH NULL
#undef ZSTD_COMPRESSBLOCK_GREEDY_DEDICATEDDICTSEARCH_ROW
#define ZSTD_COMPRESSBLOCK_GREEDY_DEDICATEDDICTSEARCH_ROW NULL
#undef ZSTD_COMPRESSBLOCK_GREEDY_EXTDICT
#define ZSTD_COMPRESSBLOCK_GREEDY_EXTDICT NULL
#undef ZSTD_COMPRESSBLOCK_GREEDY_EXTDICT_ROW
#define ZSTD_COMPRESSBLOCK_GREEDY_EXTDICT_ROW NULL
#undef ZSTD_COMPRESSBLOCK_LAZY_DICTMATCHSTATE
#define ZSTD_COMPRESSBLOCK_LAZY_DICTMATCHSTATE NULL
#undef ZSTD_COMPRESSBLOCK_LAZY_DICTMATCHSTATE_ROW
#define ZSTD_COMPRESSBLOCK_LAZY_DICTMATCHSTATE_ROW NULL
#undef ZSTD_COMPRESSBLOCK_LAZY_DEDICATEDDICTSEARCH
#define ZSTD_COMPRESSBLOCK_LAZY_DEDICATEDDICTSEARCH NULL
#undef ZSTD_COMPRESSBLOCK_LAZY_DEDICATEDDICTSEARCH_ROW
#define ZSTD_COMPRESSBLOCK_LAZY_DEDICATEDDICTSEARCH_ROW NULL
#undef ZSTD_COMPRESSBLOCK_LAZY_EXTDICT
#define ZSTD_COMPRESSBLOCK_LAZY_EXTDICT NULL
#undef ZSTD_COMPRESSBLOCK_LAZY_EXTDICT_ROW
#define ZSTD_COMPRESSBLOCK_LAZY_EXTDICT_ROW NULL
#undef ZSTD_COMPRESSBLOCK_LAZY2_DICTMATCHSTATE
#define ZSTD_COMPRESSBLOCK_LAZY2_DICTMATCHSTATE NULL
#undef ZSTD_COMPRESSBLOCK_LAZY2_DICTMATCHSTATE_ROW
#define ZSTD_COMPRESSBLOCK_LAZY2_DICTMATCHSTATE_ROW NULL
#undef ZSTD_COMPRESSBLOCK_LAZY2_DEDICATEDDICTSEARCH
#define ZSTD_COMPRESSBLOCK_LAZY2_DEDICATEDDICTSEARCH NULL
#undef ZSTD_COMPRESSBLOCK_LAZY2_DEDICATEDDICTSEARCH_ROW
#define ZSTD_COMPRESSBLOCK_LAZY2_DEDICATEDDICTSEARCH_ROW NULL
#undef ZSTD_COMPRESSBLOCK_LAZY2_EXTDICT
#define ZSTD_COMPRESSBLOCK_LAZY2_EXTDICT NULL
#undef ZSTD_COMPRESSBLOCK_LAZY2_EXTDICT_ROW
#define ZSTD_COMPRESSBLOCK_LAZY2_EXTDICT_ROW NULL

/* The same inside the strategies that search binary trees. A definition is followed by a parenthesis and
 * gets another name, by which nobody asks for it; the entry in the table is not. */
static void* const ZSTD_btGetAllMatches_extDict_3 = NULL;
#define ZSTD_btGetAllMatches_extDict_3(...) unused_extDict_3(__VA_ARGS__)
static void* const ZSTD_btGetAllMatches_extDict_4 = NULL;
#define ZSTD_btGetAllMatches_extDict_4(...) unused_extDict_4(__VA_ARGS__)
static void* const ZSTD_btGetAllMatches_extDict_5 = NULL;
#define ZSTD_btGetAllMatches_extDict_5(...) unused_extDict_5(__VA_ARGS__)
static void* const ZSTD_btGetAllMatches_extDict_6 = NULL;
#define ZSTD_btGetAllMatches_extDict_6(...) unused_extDict_6(__VA_ARGS__)
static void* const ZSTD_btGetAllMatches_dictMatchState_3 = NULL;
#define ZSTD_btGetAllMatches_dictMatchState_3(...) unused_dictMatchState_3(__VA_ARGS__)
static void* const ZSTD_btGetAllMatches_dictMatchState_4 = NULL;
#define ZSTD_btGetAllMatches_dictMatchState_4(...) unused_dictMatchState_4(__VA_ARGS__)
static void* const ZSTD_btGetAllMatches_dictMatchState_5 = NULL;
#define ZSTD_btGetAllMatches_dictMatchState_5(...) unused_dictMatchState_5(__VA_ARGS__)
static void* const ZSTD_btGetAllMatches_dictMatchState_6 = NULL;
#define ZSTD_btGetAllMatches_dictMatchState_6(...) unused_dictMatchState_6(__VA_ARGS__)
#endif
