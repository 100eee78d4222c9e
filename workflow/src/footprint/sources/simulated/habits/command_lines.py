"""Command lines and names of jobs by habit and by the style of the person.

Informing words are those of real repositories: servers and generation with vLLM, benchmarks with
lm-evaluation-harness and MTEB, sweeps with Hydra and Optuna, cleaning and tokenizing of corpora.
The classifier shares no list with them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from footprint.sources.simulated.habits.people import PersonalStyle


class JobWords(NamedTuple):
    """Informing command lines and names; `{code}` stands for an experiment, `{n}` for a number."""

    commands: tuple[str, ...]
    names: tuple[str, ...]


_MODELS = ("meta-llama/Llama-3.1-8B-Instruct", "mistralai/Mistral-7B-v0.3", "Qwen/Qwen2.5-7B")
_TRAINING = JobWords(
    (
        "python train.py --config {configuration}",
        "python -m trainer.fit {configuration}",
        "python pretrain.py --cfg {configuration} --resume auto",
        "accelerate launch run_clm.py --output_dir out/{code}",
    ),
    ("train_{code}", "pretrain{n}", "{code}"),
)
_INFERENCE = JobWords(
    (
        "python evaluate.py --config {configuration}",
        "python decode.py --config {configuration}",
        "python infer.py --model {code}",
    ),
    ("eval_{code}", "decode{n}", "{code}"),
)
_PREPARATION = JobWords(
    ("python prepare_data.py --config {configuration}", "python make_corpus.py {configuration}"),
    ("prep{n}", "data{n}"),
)
WORDS_BY_PURPOSE: dict[str, JobWords] = {
    "train": _TRAINING,
    "infer": _INFERENCE,
    "prepare": _PREPARATION,
}
WORDS_BY_HABIT: dict[str, JobWords] = {
    "late_resume": _TRAINING,
    "loader_bound_training": _TRAINING,
    "one_job_sweep": JobWords(
        (
            "python train.py --multirun +experiment={code} lr=1e-4,3e-4,1e-3",
            "python -m train -m hydra/sweeper=optuna {configuration}",
            "python tune_optuna.py --study {code} --n-trials {n}",
        ),
        ("sweep_{code}", "optuna{n}", "hpo-{code}"),
    ),
    "array_sweep": JobWords(
        (
            "python train.py --multirun +experiment={code}",
            "python optuna_worker.py --study {code}",
            "wandb agent team/{code}",
            "python train.py --config {configuration}",
        ),
        ("sweep_{code}", "multirun{n}", "grid{n}"),
    ),
    "multi_node_training": JobWords(
        (
            "torchrun --nnodes 2 --nproc_per_node gpu train.py {configuration}",
            "mpirun -machinefile nodes python pretrain_gpt.py --config {configuration}",
            "deepspeed --hostfile nodes train_ddp.py {configuration}",
        ),
        ("ddp_{code}", "pretrain-{n}nodes"),
    ),
    "fine_tuning": JobWords(
        (
            "python finetune.py --config {configuration}",
            "python sft_lora.py --adapter {code}",
            "python train_classifier.py --probe --seed {n}",
            "python dpo.py --base {code}",
        ),
        ("ft_{code}", "lora{n}", "sft-{code}"),
    ),
    "inference_server": JobWords(
        (
            "vllm serve {model} --port 8000 --tensor-parallel-size 1",
            "python -m vllm.entrypoints.openai.api_server --model {model}",
            "python serve.py --checkpoint {code}",
            "text-generation-launcher --model-id {model} --port 8080",
        ),
        ("vllm-server", "serve_{code}", "api", "llm-api-{n}"),
    ),
    "evaluation_array": JobWords(
        (
            "lm_eval --model hf --tasks mmlu,hellaswag --checkpoint {code}",
            "python -m harness.run --ckpt {code}",
            "python run_mteb.py --model {code}",
            "python benchmark.py --suite all --model {code}",
            "python bench_checkpoints.py {code}",
        ),
        ("bench_{code}", "mteb{n}", "harness-{code}", "eval{n}"),
    ),
    "corpus_generation": JobWords(
        (
            "python generate.py --prompts prompts.jsonl --model {code}",
            "python synth_corpus.py --n 1000000 {configuration}",
            "python sample.py --ckpt {code} --n_samples 500000",
            "python translate_corpus.py --model {model}",
        ),
        ("gen_{code}", "synth{n}", "sample-{code}"),
    ),
    "processors_on_gpu_nodes": JobWords(
        (
            "python train_tokenizer.py --vocab 32000 --corpus {code}",
            "python dedup_minhash.py --input shards/{n}",
            "python clean.py --lang fr | python filter.py --min 0.7",
            "python convert_to_parquet.py dump_{n}",
            "python tokenize_corpus.py --tokenizer {code}",
        ),
        ("tokenizer{n}", "dedup", "filter_{code}", "convert-{n}", "clean{n}"),
    ),
    "crash_loop": _TRAINING,
}
_SILENT_COMMANDS = ("./run.sh", "./run.sh {n}", "bash run.sh", "./job.sh", "./go.sh {n}")
_CODE_COMMANDS = (
    "./run.sh {code}",
    "./launch.sh {code}",
    "python main.py +exp={code}",
    "python run.py exp/{code}",
)
_INFORMING_NAME_PROBABILITY, _CODE_NAME_PROBABILITY = 0.35, 0.65


def draw_code(words: np.random.Generator, variant: float) -> str:
    """Draw the code of an experiment, in one of the forms that a person uses."""
    number, letter = int(words.integers(1, 180)), "abcd"[int(words.integers(4))]
    form = int(variant * 4)
    if form == 0:
        return f"exp_{number:03d}{letter}"
    if form == 1:
        return f"r{number % 9 + 1}-lr{int(words.integers(1, 9))}e{int(words.integers(3, 6))}"
    if form == 2:
        return (
            f"v{number % 12}.{int(words.integers(20))}{letter}_bs{2 ** int(words.integers(3, 9))}"
        )
    return f"{letter}{number}_s{int(words.integers(1, 6))}"


def draw_command_line(
    words: np.random.Generator,
    style: PersonalStyle,
    *,
    habit: str | None,
    purpose: str,
    configuration: str,
) -> str:
    """Draw a command line: silent, with a code, or one that informs about the work.

    Args:
        words: Random numbers of words alone, so that the style changes no other property of a job.
        style: Style of the person.
        habit: Habit of work; None: usual work.
        purpose: `train`, `infer` or `prepare`.
        configuration: Configuration file of the run.
    """
    code, number = draw_code(words, style.variant), int(words.integers(1, 100))
    model, draw = _MODELS[int(words.integers(len(_MODELS)))], words.random()
    if style.commands == "silent_commands":
        form = _SILENT_COMMANDS[int(style.variant * len(_SILENT_COMMANDS))]
    elif style.commands == "code_commands":
        form = _CODE_COMMANDS[int(style.variant * len(_CODE_COMMANDS))]
    else:
        forms = _words_of(habit, purpose).commands
        form = forms[int(draw * len(forms))]
    return form.format(code=code, n=number, model=model, configuration=configuration)


def draw_job_name(
    words: np.random.Generator, style: PersonalStyle, *, habit: str | None, purpose: str
) -> str | None:
    """Draw the name of a job: none, a code, or one that informs; None: it has no name."""
    code, number = draw_code(words, style.variant), int(words.integers(1, 100))
    chance, draw = words.random(2)
    if style.commands == "silent_commands":
        return None
    if style.commands == "code_commands":
        return code if chance < _CODE_NAME_PROBABILITY else None
    forms = _words_of(habit, purpose).names
    form = forms[int(draw * len(forms))]
    return form.format(code=code, n=number) if chance < _INFORMING_NAME_PROBABILITY else None


def _words_of(habit: str | None, purpose: str) -> JobWords:
    return WORDS_BY_HABIT.get(habit or "", WORDS_BY_PURPOSE[purpose])
