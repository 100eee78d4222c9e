"""Tests of the work that commands and job names stand for, on commands as people write them."""

from __future__ import annotations

import re

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from footprint.phases.command_lines import COMMAND_PARTS, command_parts
from footprint.phases.job_words import (
    COMPOUNDS,
    Tokens,
    split_words,
    text_classes,
    work_of_command,
    work_of_name,
)

TRAINING, INFERENCE, PREPROCESSING = "training", "inference", "preprocessing"

COMMANDS: list[tuple[str, str | None]] = [
    # scripts
    ("python train.py --config conf/a.yaml", TRAINING),
    ("python -u fit_model.py", TRAINING),
    ("python trainNet.py", TRAINING),
    ("python FineTune.py", TRAINING),
    ("python3 scripts/pre_train_bert.py --mlm 0.15", TRAINING),
    ("./decode.sh", INFERENCE),
    ("bash ./local/score.sh --cmd run.pl exp/tri4b", INFERENCE),
    ("python make_corpus.py", PREPROCESSING),
    ("./job.oar egs/dereverb/v012.yaml", None),
    ("./run.sh --stage 4 egs/x/v1.yaml", None),
    ("/home/x/test/run.sh", None),
    ("/home/x/train/run.sh conf/eval/x.yaml", None),
    ("cd /home/x/eval && ./run.sh", None),
    ("bash /srv/x/inference/launch.sh", None),
    ("python constraint.py --latest", None),
    ("python main.py --data=/data/train/x", None),
    ("python main.py --data train.csv --val test.csv", None),
    ("python main.py /data/test", None),
    ("python main.py --split test", None),
    ("", None),
    # a name in a command is no longer split into words that mislead
    ("python exp_042b.py", None),
    ("python experiment.py --exp r3-lr1e4", None),
    ("python export_onnx.py", INFERENCE),
    # compounds
    ("python train_tokenizer.py --vocab_size 32000", PREPROCESSING),
    ("python train_bpe.py", PREPROCESSING),
    ("spm_train --input=all.txt --model_prefix=m", PREPROCESSING),
    ("python tokenizer_training.py", PREPROCESSING),
    ("python train_and_eval.py", TRAINING),
    ("python train_eval.py", TRAINING),
    ("python train_then_test.py", TRAINING),
    ("python prepare_train_data.py", PREPROCESSING),
    ("python preprocess_and_train.py", TRAINING),
    ("python eval_trainer.py", INFERENCE),
    ("python train_test.py", None),
    ("python generate_dataset.py", PREPROCESSING),
    ("python generate_corpus.py --n 1000000", PREPROCESSING),
    ("python make_train_data.py", PREPROCESSING),
    ("python eval_sft.py --model m", INFERENCE),
    ("python run_dpo.py", TRAINING),
    ("python generate_dpo_pairs.py", INFERENCE),
    ("python train_features.py", None),
    # launchers
    ("torchrun --nproc_per_node=8 --standalone train.py --lr 1e-4", TRAINING),
    ("accelerate launch --multi_gpu --num_processes 4 finetune_lora.py", TRAINING),
    ("deepspeed --num_gpus 8 pretrain_gpt.py --deepspeed ds_config.json", TRAINING),
    ("python -m torch.distributed.launch --nproc_per_node 4 eval.py", INFERENCE),
    ("mpirun -np 8 python benchmark_training.py", None),
    ("CUDA_VISIBLE_DEVICES=0,1 OMP_NUM_THREADS=4 python infer.py", INFERENCE),
    ("nohup python -u train.py > test.log 2>&1 &", TRAINING),
    ("python run.py 2>&1 | tee train.log", None),
    ("module load cuda; conda activate train-env; python main.py", None),
    ("export CUDA_HOME=/usr/local/cuda; python main.py", None),
    ("source venv_eval/bin/activate && python main.py", None),
    ("bash -c 'source env.sh && python train.py'", TRAINING),
    ("python prepare.py && python train.py && python evaluate.py", TRAINING),
    ("singularity exec --nv image.sif python finetune.py", TRAINING),
    # servers and generation
    ("vllm serve meta-llama/Llama-3-8B --port 8000", INFERENCE),
    ("python -m vllm.entrypoints.openai.api_server --model mistral", INFERENCE),
    ("python -m sglang.launch_server --model-path x", INFERENCE),
    ("ollama serve", INFERENCE),
    ("python server.py --port 5000", INFERENCE),
    ("uvicorn api:app --host 0.0.0.0", INFERENCE),
    ("python api.py", INFERENCE),
    ("python sample.py --out_dir=out", INFERENCE),
    ("python sample_data.py", PREPROCESSING),
    ("python generate.py --prompts prompts.txt", INFERENCE),
    ("python batch_generate.py", INFERENCE),
    # evaluation and benchmarks
    ("lm_eval --model hf --tasks hellaswag", INFERENCE),
    ("python -m mteb run -m intfloat/e5 -t STS12", INFERENCE),
    ("python run_mteb.py", INFERENCE),
    ("python bench.py --batch 32", INFERENCE),
    ("./benchmark_latency.sh", INFERENCE),
    ("python eval_harness.py", INFERENCE),
    ("fairseq-generate data-bin --path checkpoint.pt --gen-subset test", INFERENCE),
    ("fairseq-train data-bin --arch transformer", TRAINING),
    ("nnUNetv2_train 3 3d_fullres 0", TRAINING),
    ("nnUNetv2_predict -i in -o out", INFERENCE),
    # data
    ("python dedup.py --threshold 0.8", PREPROCESSING),
    ("python de_dup_pages.py", PREPROCESSING),
    ("python filter_lang.py", PREPROCESSING),
    ("python clean_text.py", PREPROCESSING),
    ("python convert_checkpoint.py", PREPROCESSING),
    ("python dump_hubert_feature.py", PREPROCESSING),
    ("python synth_speech.py", PREPROCESSING),
    ("python tokenize_corpus.py --workers 32", PREPROCESSING),
    ("bash download_data.sh", PREPROCESSING),
    # subcommands, modes, flags
    ("python main.py train --epochs 10", TRAINING),
    ("python main.py test --ckpt last.ckpt", INFERENCE),
    ("python cli.py fit --config conf/base.yaml", TRAINING),
    ("yolo detect train data=coco.yaml model=yolov8n.pt", TRAINING),
    ("python main.py --mode=test", INFERENCE),
    ("python main.py --mode train", TRAINING),
    ("python train.py --mode test --ckpt x.pt", INFERENCE),
    ("python train.py --eval-only", INFERENCE),
    ("python train.py --test-only --resume x.pth", INFERENCE),
    ("python run_glue.py --do_train --do_eval --max_seq_length 128", TRAINING),
    ("python run_glue.py --do_eval", INFERENCE),
    ("python run_glue.py --do_train False --do_eval True", INFERENCE),
    ("python main.py --evaluate --resume m.pth", INFERENCE),
    ("python train.py --do_eval", TRAINING),
    ("python main.py --eval_steps 500 --train_batch_size 8", None),
    ("python main.py --test_size 0.2", None),
    ("python main.py --train data.txt --test data2.txt", None),
    ("python run.py task=train trainer=ddp", TRAINING),
    ("python main.py +experiment=eval_large", INFERENCE),
    # sweeps
    ("python main.py -m lr=1,2,3", TRAINING),
    ("python main.py --multirun lr=1e-3,1e-4", TRAINING),
    ("python optuna_search.py --trials 50", TRAINING),
    ("wandb agent team/project/abcd", TRAINING),
    # settings come last
    ("python main.py --config configs/train_unet.yaml", TRAINING),
    ("python main.py configs/eval_unet.yaml", INFERENCE),
    ("python evaluate.py --config configs/train_unet.yaml", INFERENCE),
    ("python main.py --config conf/conformer_train_clean_100.yaml", None),
    ("python main.py --exp_name sft_v2", TRAINING),
    ("python main.py --dataset_name test_clean", None),
    # waiting
    ("sleep infinity", None),
    ("jupyter lab --no-browser", None),
]

NAMES: list[tuple[str | None, str | None]] = [
    ("train_unet_v3", TRAINING),
    ("finetune-whisper-fr", TRAINING),
    ("sft_lr1e5", TRAINING),
    ("eval-wer", INFERENCE),
    ("decode test clean", INFERENCE),
    ("llama-server", INFERENCE),
    ("prepData", PREPROCESSING),
    ("exp_042b", None),
    ("r3-lr1e4", None),
    ("export_r3", INFERENCE),
    ("test", None),
    ("test12", None),
    ("train_test", TRAINING),
    ("baseline7", None),
    ("train-tokenizer", PREPROCESSING),
    ("latest", None),
    ("", None),
    (None, None),
]


@pytest.fixture(scope="module")
def works() -> dict[str, str | None]:
    frame = pl.DataFrame({"c": [command for command, _ in COMMANDS]})
    found = frame.select("c", w=work_of_command(pl.col("c"), Tokens()))
    return dict(found.iter_rows())


@pytest.mark.parametrize(("command", "work"), COMMANDS)
def test_work_of_command_is_what_it_names(
    works: dict[str, str | None], command: str, work: str | None
) -> None:
    assert works[command] == work


def test_work_of_unknown_command_is_null() -> None:
    assert pl.select(work_of_command(pl.lit(None, pl.String), Tokens())).item() is None


@pytest.mark.parametrize(("name", "work"), NAMES)
def test_work_of_name_is_what_it_names(name: str | None, work: str | None) -> None:
    assert pl.select(work_of_name(pl.lit(name, pl.String), Tokens())).item() == work


@pytest.mark.parametrize(("pattern", "work", "examples"), COMPOUNDS)
def test_examples_of_compounds_have_their_work(
    pattern: str, work: str | None, examples: str
) -> None:
    for example in examples.split(", "):
        command = f"python {example}.py"
        assert pl.select(work_of_command(pl.lit(command), Tokens())).item() == work
        classes = pl.select(text_classes(pl.lit(example), Tokens())).item()
        first = next(p for p, _, _ in COMPOUNDS if re.fullmatch(p, classes))
        assert first == pattern


def test_split_words_leaves_codes_out() -> None:
    def words(text: str) -> list[str]:
        found: list[str] = pl.select(split_words(pl.lit(text))).item().to_list()
        return found

    assert words("python /home/x/trainNet2.py") == ["python", "train", "net", "py"]
    assert words("r3-lr1e4 exp042b exp_042b") == ["exp"]
    assert words("LMEval") == ["lm", "eval"]


def test_configured_words_replace_the_words_of_a_work() -> None:
    tokens = Tokens.from_config({"training": ["Lernen"], "inference": ["c++"]})
    frame = pl.DataFrame({"c": ["python lernen.py", "python train.py", "python test.py"]})
    works = frame.select(work_of_command(pl.col("c"), tokens)).to_series().to_list()
    assert works == [TRAINING, None, None]


@given(
    st.sampled_from([c for c, w in COMMANDS if w and " && " not in c and c.startswith("python")]),
    st.sampled_from(["test", "train", "eval", "clean/serve"]),
)
def test_folders_never_change_the_work(command: str, folder: str) -> None:
    first, _, rest = command.partition(" ")
    moved = f"/home/x/{folder}/bin/{first} {rest}"
    both = pl.DataFrame({"c": [command, moved]})
    found = both.select(work_of_command(pl.col("c"), Tokens())).to_series()
    assert found[0] == found[1]


@given(st.text(max_size=60))
def test_any_text_has_at_most_one_work(text: str) -> None:
    found = pl.select(work_of_command(pl.lit(text), Tokens())).item()
    assert found in {TRAINING, INFERENCE, PREPROCESSING, None}


def test_parts_of_command_are_apart() -> None:
    command = "A=1 python main.py train --mode test --do_eval --config conf/a.yaml data.csv"
    parts = command_parts(pl.Series([command]), ["eval"]).row(0, named=True)
    words = {name: parts[name].split() for name in COMMAND_PARTS}
    assert words == {
        "forced": ["test"],
        "scripts": ["python", "main"],
        "subcommands": ["train"],
        "flags": ["--do_eval"],
        "settings": ["a"],
    }
