// Gatemill: recurrent networks on CPUs, for C.
//
// Every function that can fail gives a status; GATEMILL_STATUS_OK is 0. What went wrong is said by gatemill_last_error(), for the thread
// that called. Objects are handles: plain numbers, of which a freed, a foreign or a made-up one is refused. Structs of
// arguments begin with their size, `sizeof` of the struct; a member that is 0 has its default.
//
// Arrays of floats are the caller's: nothing is kept of them after a call. A state is such arrays, so that a copy of them
// is a copy of the state, and a fork of its sequence. Any number of threads may use one stack or model at once, each
// with a tape of its own; an object that is being changed is refused to others with GATEMILL_STATUS_BUSY.
//
// The bits of every result are the same on every x86-64 CPU with AVX2, for any number of threads, in the floating-point
// mode that a thread starts in; see gatemill_float_mode(). After fork() the child has no crew: make a new one.


#ifndef GATEMILL_H
#define GATEMILL_H

// Made by cbindgen from bindings/c/src; edit there, then `cargo xtask header`.

#include <stddef.h>
#include <stdint.h>

// The version of this header.
#define GATEMILL_ABI_VERSION 1

// h_t = tanh(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh)
#define GATEMILL_CELL_RNN 1

// Gates i, f, g, o.
#define GATEMILL_CELL_LSTM 2

// Gates r, z, n; the reset acts behind the product with W_hn.
#define GATEMILL_CELL_GRU 3

// From the first step to the last.
#define GATEMILL_DIRECTION_FORWARD 0

// From the last step to the first.
#define GATEMILL_DIRECTION_REVERSE 1

// Both; the reversed layer's h stands behind the other's.
#define GATEMILL_DIRECTION_CONCAT 2

// Both; the two h are added.
#define GATEMILL_DIRECTION_SUM 3

// No b_ih, b_hh.
#define GATEMILL_NO_BIAS 1

// GRU: n = tanh(W_in x + b_in + W_hn (r * h_{t-1}) + b_hn).
#define GATEMILL_RESET_BEFORE 2

// LSTM: p_i * c_{t-1}, p_f * c_{t-1} and p_o * c_t enter the gates; tensor weight_peephole_l0 [3, H], rows i, f, o.
#define GATEMILL_PEEPHOLES 4

// LSTM: f = 1 - i.
#define GATEMILL_COUPLED 8

// What a layer from the second on reads is added to what it gives.
#define GATEMILL_RESIDUAL 16

// The cell's own.
#define GATEMILL_ACTIVATION_DEFAULT 0

// 1 / (1 + e^-x)
#define GATEMILL_ACTIVATION_SIGMOID 1

// tanh(x)
#define GATEMILL_ACTIVATION_TANH 2

// max(0, x)
#define GATEMILL_ACTIVATION_RELU 3

// alpha x + beta
#define GATEMILL_ACTIVATION_AFFINE 4

// x where x > 0, else alpha x
#define GATEMILL_ACTIVATION_LEAKY_RELU 5

// x where x > alpha, else 0
#define GATEMILL_ACTIVATION_THRESHOLDED_RELU 6

// alpha tanh(beta x)
#define GATEMILL_ACTIVATION_SCALED_TANH 7

// min(1, max(0, alpha x + beta))
#define GATEMILL_ACTIVATION_HARD_SIGMOID 8

// x where x > 0, else alpha (e^x - 1)
#define GATEMILL_ACTIVATION_ELU 9

// x / (1 + |x|)
#define GATEMILL_ACTIVATION_SOFTSIGN 10

// ln(1 + e^x)
#define GATEMILL_ACTIVATION_SOFTPLUS 11

// Longest name of a tensor, the zero byte included.
#define GATEMILL_NAME_BYTES 64

// How a call ended.
typedef enum {
    // It did what it should.
    GATEMILL_STATUS_OK = 0,
    // An argument that cannot be: gatemill_last_error() names it.
    GATEMILL_STATUS_USAGE = 2,
    // A file or a text that does not hold what it should.
    GATEMILL_STATUS_BAD_DATA = 3,
    // The system refused to read or write.
    GATEMILL_STATUS_IO = 4,
    // The loss or a gradient is not finite; the weights are as they were.
    GATEMILL_STATUS_DIVERGED = 5,
    // Memory or threads are not to be had.
    GATEMILL_STATUS_RESOURCES = 6,
    // Somebody else is changing this object, or using what the call would change.
    GATEMILL_STATUS_BUSY = 7,
    // A handle that was freed, is of another kind, or never was.
    GATEMILL_STATUS_BAD_HANDLE = 8,
    // The crew was made before fork(), by the parent process.
    GATEMILL_STATUS_FORKED = 9,
    // A fault of Gatemill's own.
    GATEMILL_STATUS_INTERNAL = 70,
} GatemillStatus;

// Worker threads. 0 is none.
typedef struct {
    // Its number.
    uint64_t id;
} GatemillCrew;

// What gatemill_float_mode tells.
typedef struct {
    // sizeof(GatemillFloatMode).
    size_t size;
    // 1: the calling thread is in the mode that threads start in (round to nearest, denormals kept), in which the bits of
    // results are promised. 0: the host has set another; results are right within the usual bounds, but some of their bits
    // may be others.
    uint32_t plain;
    // 1: every call so far, of any thread, found its thread in that mode. 0: some did not, and results since are not
    // covered by the promise.
    uint32_t promise_holds;
} GatemillFloatMode;

// A function of one number.
typedef struct {
    // GATEMILL_ACTIVATION_...
    uint32_t function;
    // Where the function has it.
    float alpha;
    // Where the function has it.
    float beta;
} GatemillActivation;

// A stack of recurrent layers, in PyTorch's terms.
typedef struct {
    // sizeof(GatemillRecurrentOptions).
    size_t size;
    // GATEMILL_CELL_...; there is no default.
    uint32_t cell;
    // GATEMILL_DIRECTION_...
    uint32_t direction;
    // I: floats of an input.
    size_t inputs;
    // H.
    size_t hidden;
    // L; 0 is 1.
    size_t layers;
    // LSTM: P columns of a projected h; 0 is none.
    size_t projection;
    // P of the dropout between layers, in [0, 1); passes on a training tape drop.
    double dropout;
    // Of the initial weights and of the dropout's masks.
    uint64_t seed;
    // GATEMILL_NO_BIAS | GATEMILL_RESET_BEFORE | GATEMILL_PEEPHOLES | GATEMILL_COUPLED | GATEMILL_RESIDUAL
    uint32_t forms;
    // Bounds what goes into the gates' activations; 0 is no bound.
    float clip;
    // LSTM: bounds c_t; 0 is no bound.
    float cell_clip;
    // In place of sigmoid: an LSTM's i, f, o, a GRU's r, z.
    GatemillActivation gates;
    // In place of tanh: an LSTM's g, a GRU's n, an RNN's h.
    GatemillActivation candidate;
    // In place of tanh: what leaves an LSTM's c for h.
    GatemillActivation output;
} GatemillRecurrentOptions;

// A stack of recurrent layers and its weights. 0 is none.
typedef struct {
    // Its number.
    uint64_t id;
} GatemillRecurrent;

// How many floats go into a stack and come out of it.
typedef struct {
    // sizeof(GatemillForm).
    size_t size;
    // Floats of an input row.
    size_t inputs;
    // Floats of an output row.
    size_t outputs;
    // Layers times directions.
    size_t layers;
    // Floats of h of all lanes: [layers, lanes, H], or P columns of a projection.
    size_t h_len;
    // Floats of c of all lanes: [layers, lanes, H]; 0 where the cell is no LSTM.
    size_t c_len;
    // Tensors.
    size_t tensors;
} GatemillForm;

// A tensor of a stack.
typedef struct {
    // sizeof(GatemillTensorInfo).
    size_t size;
    // Floats of it.
    size_t len;
    // [rows, columns], row by row; [rows, 1] for a bias.
    size_t shape[2];
    // PyTorch's: weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0, weight_ih_l0_reverse, ...; ends with a zero byte.
    char name[GATEMILL_NAME_BYTES];
} GatemillTensorInfo;

// What one pass keeps; memory is allocated by its first pass, and kept. 0 is none.
typedef struct {
    // Its number.
    uint64_t id;
} GatemillTape;

// Gradients to the weights of a stack. 0 is none.
typedef struct {
    // Its number.
    uint64_t id;
} GatemillGradients;

// A tensor to be read, by its name.
typedef struct {
    // GatemillTensorInfo.name.
    const char *name;
    // Floats, in PyTorch's layout.
    const float *data;
    // GatemillTensorInfo.len.
    size_t len;
} GatemillTensor;

// A tensor to be written, by its name.
typedef struct {
    // GatemillTensorInfo.name.
    const char *name;
    // Floats, in PyTorch's layout.
    float *data;
    // GatemillTensorInfo.len.
    size_t len;
} GatemillTensorMut;

// Which tokens a pass works on.
typedef struct {
    // T.
    size_t steps;
    // B; with batch_sizes it may be 0.
    size_t lanes;
    // NULL: every lane has T steps. Else T numbers, how many lanes have a step t, for lanes of falling length: PyTorch's
    // PackedSequence.
    const size_t *batch_sizes;
} GatemillBatch;

// Rows to be read where they are: that of (step t, lane b) begins at t * step_stride + b * lane_stride. Both strides 0: one
// row behind the other in the order of the tokens, step by step: [T, B, C], or [N, C] as PyTorch packs it. [B, T, C] has
// strides C and T*C. Where lanes have different lengths, strided rows past a lane's end are there but not read.
typedef struct {
    // Floats; NULL is none, where there may be none.
    const float *data;
    // How many.
    size_t len;
    // Floats from step to step.
    size_t step_stride;
    // Floats from lane to lane.
    size_t lane_stride;
} GatemillRows;

// A state to be read: h [layers * directions, B, H], or P columns of a projection, and for an LSTM c
// [layers * directions, B, H]. h NULL is none, where there may be none: zeros.
typedef struct {
    // Floats.
    const float *h;
    // GatemillForm.h_len.
    size_t h_len;
    // Floats, LSTM only, else NULL.
    const float *c;
    // GatemillForm.c_len.
    size_t c_len;
} GatemillState;

// Rows to be written, as GatemillRows; they must not lie over each other. Strided rows past a lane's end become zero.
typedef struct {
    // Floats; NULL is none, where there may be none.
    float *data;
    // How many.
    size_t len;
    // Floats from step to step.
    size_t step_stride;
    // Floats from lane to lane.
    size_t lane_stride;
} GatemillRowsMut;

// What gatemill_forward reads and writes.
typedef struct {
    // sizeof(GatemillForward).
    size_t size;
    // Which tokens.
    GatemillBatch batch;
    // Inputs.
    GatemillRows x;
    // Initial states; h NULL: zeros.
    GatemillState initial;
    // Outputs of the top layer, written.
    GatemillRowsMut y;
} GatemillForward;

// What gatemill_backward reads and writes.
typedef struct {
    // sizeof(GatemillBackward).
    size_t size;
    // Gradient to the outputs.
    GatemillRows d_y;
    // Gradient to the final states, beside what d_y says; h NULL: zeros.
    GatemillState d_last;
    // Gradient to the inputs, written; data NULL: it is not wanted, and not computed.
    GatemillRowsMut d_x;
} GatemillBackward;

// A state to be written.
typedef struct {
    // Floats.
    float *h;
    // GatemillForm.h_len.
    size_t h_len;
    // Floats, LSTM only, else NULL.
    float *c;
    // GatemillForm.c_len.
    size_t c_len;
} GatemillStateMut;

// A new character model; a member that is 0 has the default of `gatemill train`.
typedef struct {
    // sizeof(GatemillCharLmOptions).
    size_t size;
    // GATEMILL_CELL_...; 0 is an LSTM.
    uint32_t cell;
    // 1: the symbols are the 256 bytes; 0: the characters of a text.
    uint32_t bytes;
    // L.
    size_t layers;
    // H.
    size_t hidden;
    // B: lanes of a training step.
    size_t batch;
    // T: steps of a training step.
    size_t seq;
    // Learning rate.
    double lr;
    // P of the dropout between layers.
    double dropout;
    // Largest norm of the gradient.
    double clip_norm;
    // Of the initial weights and of the dropout's masks.
    uint64_t seed;
} GatemillCharLmOptions;

// A character model, the crew that it runs on, and what it has learned with. 0 is none.
typedef struct {
    // Its number.
    uint64_t id;
} GatemillCharLm;

// What a character model is.
typedef struct {
    // sizeof(GatemillCharLmInfo).
    size_t size;
    // GATEMILL_CELL_...
    uint32_t cell;
    // 1: the symbols are the 256 bytes; 0: characters.
    uint32_t bytes;
    // V: symbols; an id of V or more is a symbol never seen.
    size_t vocab;
    // L.
    size_t layers;
    // H.
    size_t hidden;
    // B: lanes of a training step.
    size_t batch;
    // T: steps of a training step.
    size_t seq;
    // Floats of h of one text: [L, 1, H].
    size_t h_len;
    // Floats of c of one text; 0 where the cell is no LSTM.
    size_t c_len;
    // Weights.
    size_t parameters;
} GatemillCharLmInfo;

// What a training step did.
typedef struct {
    // sizeof(GatemillTrainReport).
    size_t size;
    // Steps made, this one included.
    uint64_t step;
    // Mean loss, nats per symbol.
    double nats;
    // Norm of the gradient before it was clipped.
    double grad_norm;
    // Targets that the vocabulary has.
    uint64_t counted;
} GatemillTrainReport;

// How a text is written; a member that is 0 has the default said here.
typedef struct {
    // sizeof(GatemillTextOptions).
    size_t size;
    // Read before the first symbol is drawn; may be NULL. UTF-8, for a model over bytes any bytes.
    const char *prime;
    // Bytes of it.
    size_t prime_len;
    // Symbols to write; 0: no end.
    uint64_t length;
    // Logits are divided by it; 0: the likeliest symbol is taken.
    double temperature;
    // Draw from so many of the likeliest symbols; 0: all.
    size_t top_k;
    // Draw from the fewest of the likeliest that have this probability together; 0: all.
    double top_p;
    // Leave out symbols whose probability is less than this times the largest; 0: none.
    double min_p;
    // Logits of the last symbols are divided by it, negative ones multiplied; 0: off.
    double repetition_penalty;
    // How many of the last symbols it is for; 0: 64.
    size_t repetition_window;
    // Of the draws.
    uint64_t seed;
    // Another number is another text of the same seed.
    uint32_t sample;
} GatemillTextOptions;

// A text that is being written. 0 is none.
typedef struct {
    // Its number.
    uint64_t id;
} GatemillText;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// What the last call of this thread that failed says about it, in UTF-8; empty if none has. It is there until the next
// call of this thread that fails.
const char *gatemill_last_error(void);

// Starts workers: as many as `threads`, or with 0 as this process may use; 1 starts none, the calling thread does all.
// The results of a pass are the same bit for bit.
//
// # Safety
// `crew` is NULL or a GatemillCrew of the call's own.
GatemillStatus gatemill_crew_new(size_t threads,
                                 GatemillCrew *crew);

// How many workers a crew has.
//
// # Safety
// `threads` is NULL or a size_t of the call's own.
GatemillStatus gatemill_crew_threads(GatemillCrew crew, size_t *threads);

// Ends a crew once nothing uses it any more: models keep theirs. 0 is left alone.
GatemillStatus gatemill_crew_free(GatemillCrew crew);

// The library's version, as in "0.1.0".
const char *gatemill_version(void);

// GATEMILL_ABI_VERSION of the library that is linked: a program may compare it with its header's.
uint32_t gatemill_abi_version(void);

// Tells the floating-point mode of the calling thread, and whether it was plain at every call so far. Gatemill reads it at
// each entry and never sets it.
//
// # Safety
// `mode` is NULL or a GatemillFloatMode of the call's own.
GatemillStatus gatemill_float_mode(GatemillFloatMode *mode);

// The kernels that stacks and models are made with: "avx512", "avx2" or "portable"; where GATEMILL_ISA names one that
// this machine lacks, what is wrong with it.
const char *gatemill_tier(void);

// Makes a stack with PyTorch's initial weights, U(-1/sqrt(H), 1/sqrt(H)), a function of the seed.
//
// # Safety
// `options` and `recurrent` are NULL or such structs; the second is the call's own.
GatemillStatus gatemill_recurrent_new(const GatemillRecurrentOptions *options,
                                      GatemillRecurrent *recurrent);

// A copy, which shares the weights until one of the two is changed.
//
// # Safety
// `copy` is NULL or a GatemillRecurrent of the call's own.
GatemillStatus gatemill_recurrent_copy(GatemillRecurrent recurrent, GatemillRecurrent *copy);

// Frees a stack. 0 is left alone.
GatemillStatus gatemill_recurrent_free(GatemillRecurrent recurrent);

// Floats of rows and, for so many lanes, of states.
//
// # Safety
// `form` is NULL or a GatemillForm of the call's own.
GatemillStatus gatemill_recurrent_form(GatemillRecurrent recurrent,
                                       size_t lanes,
                                       GatemillForm *form);

// Name and shape of tensor `index`, from 0, in PyTorch's order.
//
// # Safety
// `info` is NULL or a GatemillTensorInfo of the call's own.
GatemillStatus gatemill_recurrent_tensor(GatemillRecurrent recurrent,
                                         size_t index,
                                         GatemillTensorInfo *info);

// Makes a tape for passes of a stack: with `training` 1 for forward with dropout and backward, with 0 for forward alone.
//
// # Safety
// `tape` is NULL or a GatemillTape of the call's own.
GatemillStatus gatemill_tape_new(GatemillRecurrent recurrent,
                                 uint32_t training,
                                 GatemillTape *tape);

// Frees a tape. 0 is left alone.
GatemillStatus gatemill_tape_free(GatemillTape tape);

// Dropout's masks are a function of (seed, layer, lane, position, unit); each training pass moves a tape's position on by
// its steps. This sets where the next pass begins.
GatemillStatus gatemill_tape_set_position(GatemillTape tape,
                                          uint64_t position);

// Makes a place for the gradients to a stack's weights.
//
// # Safety
// `gradients` is NULL or a GatemillGradients of the call's own.
GatemillStatus gatemill_gradients_new(GatemillRecurrent recurrent, GatemillGradients *gradients);

// Frees gradients. 0 is left alone.
GatemillStatus gatemill_gradients_free(GatemillGradients gradients);

// Copies a tensor to `data`, in PyTorch's layout.
//
// # Safety
// `name` is NULL or ends with a zero byte; `data` is NULL or has `len` floats, the call's own.
GatemillStatus gatemill_recurrent_get(GatemillRecurrent recurrent,
                                      const char *name,
                                      float *data,
                                      size_t len);

// Sets a tensor from PyTorch's layout; the next pass packs the weights anew.
//
// # Safety
// `name` is NULL or ends with a zero byte; `data` is NULL or has `len` floats.
GatemillStatus gatemill_recurrent_set(GatemillRecurrent recurrent,
                                      const char *name,
                                      const float *data,
                                      size_t len);

// Sets tensors, all or none, on the workers of a crew, and packs the weights for the passes that follow: what an
// optimiser's step is followed by. After gatemill_recurrent_set the next pass packs them, on one thread.
//
// # Safety
// `tensors` is NULL or has `count` of them; their names end with a zero byte, and `data` has `len` floats.
GatemillStatus gatemill_recurrent_set_all(GatemillRecurrent recurrent,
                                          GatemillCrew crew,
                                          const GatemillTensor *tensors,
                                          size_t count);

// Copies the gradient to a tensor to `data`, in PyTorch's layout.
//
// # Safety
// `name` is NULL or ends with a zero byte; `data` is NULL or has `len` floats, the call's own.
GatemillStatus gatemill_gradients_get(GatemillGradients gradients,
                                      const char *name,
                                      float *data,
                                      size_t len);

// Copies gradients, each to its `data`, on the workers of a crew. Where one is refused, those before it are written.
//
// # Safety
// `tensors` is NULL or has `count` of them; their names end with a zero byte, and `data` has `len` floats, the call's own.
GatemillStatus gatemill_gradients_get_all(GatemillGradients gradients,
                                          GatemillCrew crew,
                                          const GatemillTensorMut *tensors,
                                          size_t count);

// Forward over a batch, shared out to the crew: x and the initial states give y and, on the tape, the final states. On a
// training tape the layers drop, and gatemill_backward may follow.
//
// # Safety
// `pass` is NULL or such a struct, whose arrays have as many elements as it says; those that are written are the call's
// own.
GatemillStatus gatemill_forward(GatemillRecurrent recurrent,
                                GatemillCrew crew,
                                GatemillTape tape,
                                const GatemillForward *pass);

// Backward over the batch of the tape's last gatemill_forward, once, with the same weights: the gradients to the outputs
// and to the final states give those to the inputs, to the weights (`gradients` are written, not added to) and, on the
// tape, to the initial states. Where the weights' are not wanted `gradients` is 0, and a third of the work is not done.
//
// # Safety
// `pass` is NULL or such a struct, whose arrays have as many elements as it says; those that are written are the call's
// own.
GatemillStatus gatemill_backward(GatemillRecurrent recurrent,
                                 GatemillCrew crew,
                                 GatemillTape tape,
                                 GatemillGradients gradients,
                                 const GatemillBackward *pass);

// Writes the states after the last valid step of each lane of the tape's last forward.
//
// # Safety
// The arrays of `state` are NULL or have as many elements as it says, the call's own.
GatemillStatus gatemill_tape_final_state(GatemillTape tape, GatemillStateMut state);

// Writes the gradients to the initial states, after gatemill_backward.
//
// # Safety
// The arrays of `state` are NULL or have as many elements as it says, the call's own.
GatemillStatus gatemill_tape_initial_grad(GatemillTape tape, GatemillStateMut state);

// One step of B lanes on the calling thread, without dropout: x [B, I] and the state before it give y [B, outputs] and
// the state after it, in its place. B is what x holds. Once a tape has stepped B lanes, further steps of as many allocate
// nothing.
//
// # Safety
// The arrays are NULL or have as many elements as is said; y and those of `state` are the call's own.
GatemillStatus gatemill_step(GatemillRecurrent recurrent,
                             GatemillTape tape,
                             const float *x,
                             size_t x_len,
                             GatemillStateMut state,
                             float *y,
                             size_t y_len);

// Makes a model with initial weights over the characters of a text, each once.
//
// # Safety
// `options` and `model` are NULL or such structs, the second the call's own; `characters` is NULL or has `len` bytes.
GatemillStatus gatemill_char_lm_new(const GatemillCharLmOptions *options,
                                    const char *characters,
                                    size_t len,
                                    GatemillCrew crew,
                                    GatemillCharLm *model);

// Loads the model of a .safetensors file, or of a run folder: its best, else its newest checkpoint.
//
// # Safety
// `path` is NULL or ends with a zero byte; `model` is NULL or a GatemillCharLm of the call's own.
GatemillStatus gatemill_char_lm_load(const char *path, GatemillCrew crew, GatemillCharLm *model);

// Saves a model at `path` in the place of an older one: at every moment the old file or the new one is whole.
//
// # Safety
// `path` is NULL or ends with a zero byte.
GatemillStatus gatemill_char_lm_save(GatemillCharLm model,
                                     const char *path);

// Frees a model; texts that it writes go on. 0 is left alone.
GatemillStatus gatemill_char_lm_free(GatemillCharLm model);

// What a model is.
//
// # Safety
// `info` is NULL or a GatemillCharLmInfo of the call's own.
GatemillStatus gatemill_char_lm_info(GatemillCharLm model, GatemillCharLmInfo *info);

// The ids of a text in UTF-8: `count` takes how many there are, `ids` as many of them as `capacity` allows. A character
// that the model never saw has id V.
//
// # Safety
// `text` is NULL or has `len` bytes; `ids` is NULL or has `capacity` numbers, and `count` is NULL or one, the call's own.
GatemillStatus gatemill_char_lm_encode(GatemillCharLm model,
                                       const char *text,
                                       size_t len,
                                       uint32_t *ids,
                                       size_t capacity,
                                       size_t *count);

// Reads `ids [T, B]` from the state, which becomes the state after them: `logits [T, B, V]` are those of the symbol after
// each. B is the state's. Any number of threads may ask at once.
//
// # Safety
// The arrays are NULL or have as many elements as is said; those that are written are the call's own.
GatemillStatus gatemill_char_lm_logits(GatemillCharLm model,
                                       const uint32_t *ids,
                                       size_t ids_len,
                                       GatemillStateMut state,
                                       float *logits,
                                       size_t logits_len);

// One update from `ids` and `targets`, `[T, B]` each with T and B of gatemill_char_lm_info; the state is carried from
// step to step. `report` may be NULL.
//
// # Safety
// `ids` and `targets` are NULL or have `len` numbers; `report` is NULL or such a struct, the call's own.
GatemillStatus gatemill_char_lm_train_step(GatemillCharLm model,
                                           const uint32_t *ids,
                                           const uint32_t *targets,
                                           size_t len,
                                           GatemillTrainReport *report);

// The learning rate of the next steps.
GatemillStatus gatemill_char_lm_set_lr(GatemillCharLm model, double lr);

// The next training step begins from a zero state: another text.
GatemillStatus gatemill_char_lm_clear_train_state(GatemillCharLm model);

// Begins a text: reads the prime; an empty one begins as after a line's end. While a text is there its model cannot
// learn.
//
// # Safety
// `how` and `text` are NULL or such structs, the second the call's own; the prime is NULL or has as many bytes as is said.
GatemillStatus gatemill_text_new(GatemillCharLm model,
                                 const GatemillTextOptions *how,
                                 GatemillText *text);

// Begins a text where one stands that gatemill_text_save wrote to `path`; the prime is read behind it. With its seed and
// sample it is what would have been written without the stop.
//
// # Safety
// As gatemill_text_new; `path` is NULL or ends with a zero byte.
GatemillStatus gatemill_text_resume(GatemillCharLm model,
                                    const GatemillTextOptions *how,
                                    const char *path,
                                    GatemillText *text);

// Begins a text where another stands, which goes on by itself: a fork. Another seed makes another text of it.
//
// # Safety
// As gatemill_text_new.
GatemillStatus gatemill_text_fork(GatemillText text,
                                  const GatemillTextOptions *how,
                                  GatemillText *fork);

// Saves where a text stands, behind the last symbol drawn.
//
// # Safety
// `path` is NULL or ends with a zero byte.
GatemillStatus gatemill_text_save(GatemillText text, const char *path);

// Writes up to `symbols` further symbols to `buffer`, as far as it has room: `written` takes how many bytes there are now.
// 0: the text is at its end. UTF-8 comes in whole characters; there is no zero byte behind it.
//
// # Safety
// `buffer` is NULL or has `capacity` bytes, `written` is NULL or a size_t, both the call's own.
GatemillStatus gatemill_text_next(GatemillText text,
                                  size_t symbols,
                                  char *buffer,
                                  size_t capacity,
                                  size_t *written);

// Frees a text. 0 is left alone.
GatemillStatus gatemill_text_free(GatemillText text);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* GATEMILL_H */
