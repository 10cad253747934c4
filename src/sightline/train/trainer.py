"""A run in its course: steps, evaluations, checkpoints; to be saved and gone on with."""

import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import torch

from sightline import checkpoint, processes
from sightline.data.records import Dataset
from sightline.fitting import has_fit, has_loss
from sightline.progress import bar, clock_text
from sightline.train import pace, ranks, record, setup, snapshot, state, teach
from sightline.train.course import Meter, Progress
from sightline.train.diverged import Guard
from sightline.train.estimate import Outlook
from sightline.train.feed import Feed
from sightline.train.log import Log
from sightline.train.recipes import Recipe
from sightline.train.run import Run
from sightline.train.schedule import Budget, rate
from sightline.train.signals import Stop, resuming
from sightline.train.step import Stepper
from sightline.train.teacher import open_teacher
from sightline.train.validate import figures_of
from sightline.train.weighting import class_weights, weigh


class Trainer:
    """A run in its course: what `train` carries from step to step."""

    def __init__(
        self,
        detector: Any,
        data: tuple[Dataset, Dataset | None],
        recipe: Recipe,
        out: Path,
        options: Run,
    ) -> None:
        self.recipe, self.out, self.options = recipe, out, options
        self.dataset, self.validation = data
        ranks.share_weights(detector)
        setup.freeze(detector, recipe)
        weigh(detector, class_weights(recipe, self.dataset))
        detector.to(setup.device_of(recipe))
        teacher = open_teacher(recipe, detector)
        self.stepper = Stepper(detector, recipe, teacher)
        self.budget = Budget.of(recipe, len(self.dataset))
        self.pace = pace.Pace(self.budget)
        self.feed = Feed(self.dataset, recipe, self.fraction)
        self.log = Log(out)
        self.progress = Progress()
        self.guard = Guard(self.stepper, self.feed, out, options.say)
        self.outlook = Outlook(self.stepper, data, out, options.say)
        self.teacher = teach.Teacher(self.stepper, self.dataset, recipe, out, options.say)

    @property
    def finished(self) -> bool:
        """Whether there is nothing left to do."""
        at = self.progress
        return at.finished and (at.fitted or not has_fit(self.stepper.detector))

    def fraction(self, step: int) -> float:
        """The share of the budget that is spent before `step`."""
        return self.pace.fraction(step, self.progress)

    def start(self, stop: Stop, resume: bool) -> None:
        """Begin, or go on from what is saved; what a detector measures before comes first, and
        what is saved takes its place.
        """
        saved, began = ranks.load_state(self.out) if resume else None, time.perf_counter()
        self.teacher.prime(stop)
        if saved is not None:
            self.restore(*saved)
            return
        if resume:
            self.options.say(f"nothing to resume in {self.out}: beginning anew")
        self.progress.seconds = processes.most([time.perf_counter() - began])[0]
        self.begin()

    def facts(self) -> dict[str, Any]:
        """What must be the same for a resumed run to be the same run."""
        return setup.facts(self.recipe, self.dataset, self.validation)

    def _beginning(self) -> record.Record:
        data, known = (self.dataset, self.validation), self.facts()
        detector = self.stepper.detector
        notes = {**self.options.notes, "command": self.options.command}
        return record.Beginning(self.recipe, detector, data, known, notes).to_json()

    def begin(self) -> None:
        """Write the record of this run; where it repeats another, see whether it can."""
        now, before, options = self._beginning(), self.options.repeats, self.options
        if before is not None:
            record.check(before, now, options.accept_changes, options.say)
            if "pace" in before:
                pace.repeat(before["pace"], self.progress)
        if processes.is_first():
            record.begin(self.out, now)

    def run(self, stop: Stop) -> None:
        """Train until there is nothing left to do, or `stop` asks. Raises `Paused` in a `fit`."""
        if not self.progress.finished:
            if has_loss(self.stepper.detector):
                self._steps(stop)
            else:
                self.progress.finished = True
        if self.progress.finished and not self.finished:
            self._fit(stop)

    def _fit(self, stop: Stop) -> None:
        """Let the detector learn by its own method: the answer of the run."""
        at = self.progress
        at.seconds += self.teacher.fit(stop)
        self.guard.check_weights(at)
        at.fitted, at.best = True, None
        if self.validation is not None:
            self._evaluate(self.validation, f"{self.recipe.model} fitted")
        self.save()

    def _steps(self, stop: Stop) -> None:
        """Step until the budget is spent, patience ends, or `stop` asks."""
        at, meter = self.progress, Meter()
        with (
            closing(self.feed.batches(at.step)) as batches,
            bar(1.0, f"train {self.recipe.model}", self.fraction(at.step)) as shown,
        ):
            self._evaluate_if_due()
            ended = ranks.ended(stop)
            while not at.finished and not ended:
                if not self._advance(batches, meter):
                    break
                shown.to(self.fraction(at.step), f"loss {at.loss:.3f} {at.note()}")
                if at.step % self.recipe.log_steps == 0:
                    self._report(meter)
                ended = ranks.ended(stop)
                if not ended:
                    self._evaluate_if_due()
                    due = processes.most([meter.since_save()])[0] > self.recipe.save_seconds
                    if due and self.guard.is_fit_to_save(at):
                        self.save()
                        meter.saved()
                    ended = ranks.ended(stop)
        at.finished = at.finished or not ended
        self._report(meter)
        self.guard.check_weights(at)
        self.save()

    def _advance(self, batches: Iterator[Any], meter: Meter) -> bool:
        """One step; False when the budget is spent."""
        at, began = self.progress, time.perf_counter()
        fraction = self.fraction(at.step)
        batch = next(batches, None) if fraction < 1 else None
        if batch is None:
            return False
        waited = time.perf_counter() - began
        pixels, targets = batch
        at.rate = self.recipe.learning_rate * rate(
            self.recipe, at.step, fraction, self.budget.steps
        )
        taken, at.loss = self.stepper.step(pixels, targets, at.rate)
        self.guard.check(at, batch, taken)
        at.step += 1
        at.size = pixels.shape[3]
        spent, waited = processes.most([time.perf_counter() - began, waited])
        at.seconds += spent
        meter.count(self.recipe.batch, spent, waited)
        if processes.is_first():
            self.outlook.count(at, spent, waited)
        return True

    def _report(self, meter: Meter) -> None:
        losses = self.stepper.report()
        if losses:
            at = self.progress
            self.log.add(
                {
                    "step": at.step,
                    "fraction": round(self.fraction(at.step), 6),
                    "seconds": round(at.seconds, 3),
                    "size": at.size,
                    "learning_rate": at.rate,
                    **losses,
                    **meter.read(),
                    "skipped": at.skipped,
                }
            )

    def _evaluate_if_due(self) -> None:
        at, every = self.progress, self.recipe.evaluate_every
        fraction = self.fraction(at.step)
        due = int(fraction / every + 1e-9) + (fraction >= 1)
        silent = getattr(self.stepper.detector, "scores_are_margins", False)  # machines yet to fit
        if self.validation is None or due <= at.evaluations or silent:
            return
        at.evaluations = due
        self._evaluate(
            self.validation, f"step {at.step} ({fraction:.0%}, {clock_text(at.seconds)})"
        )
        if 0 < self.recipe.patience <= at.stale:
            self.options.say(f"no better for {at.stale} evaluations: ending")
            at.finished = True

    def _evaluate(self, validation: Dataset, when: str) -> None:
        """Figures of the averaged weights, which are kept where they are the best so far."""
        at, began = self.progress, time.perf_counter()
        figures = figures_of(self.stepper.average.model, validation, self.recipe)
        took = time.perf_counter() - began
        self.log.add({"step": at.step, "seconds": round(at.seconds, 3), **figures})
        at.figures, value = figures, figures.get(self.recipe.figure) or 0.0
        better = at.best is None or value > at.best
        at.stale = 0 if better else at.stale + 1
        if better:
            at.best, at.best_step = value, at.step
            self._write("best")
        best = " (best)" if better else ""
        self.options.say(f"{when}: {self.recipe.figure} {value:.4f}{best}, {took:.0f} s")
        self.log.draw()

    def _write(self, name: str) -> None:
        if not processes.is_first():
            return
        at = self.progress
        manifest = setup.manifest(self.stepper.detector, self.dataset, self.recipe)
        manifest["figures"] = at.figures
        manifest["training"] |= {"step": at.step, "seconds": round(at.seconds, 1)}
        manifest |= dict(self.options.manifest)
        checkpoint.write(self.out / name, self.stepper.average.model.state_dict(), manifest)

    def save(self) -> None:
        """Write the last checkpoint and the state to resume from."""
        self._write("last")
        tensors, facts = snapshot.take(self.stepper)
        whole = {**facts, "progress": vars(self.progress), "run": self.facts()}
        if processes.is_first():
            state.save(self.out, tensors, whole)

    def restore(self, tensors: Mapping[str, torch.Tensor], facts: Mapping[str, Any]) -> None:
        """Go back to what `save` wrote."""
        options = self.options
        at, run = snapshot.described(facts, self.out)
        changes = setup.compare(run, self.facts(), options.accept_changes, options.say)
        snapshot.put_back(self.stepper, (tensors, facts), self.out, options.say)
        self.progress = at
        self.pace.go_on(self.progress)
        if processes.is_first():
            record.go_on(self.out, self._beginning(), self.progress.step, changes)
        self.log = Log(self.out, resume_at=self.progress.step)
        self.options.say(f"resuming {self.out} at step {self.progress.step}")

    def conclude(self, stop: Stop) -> Path:
        """Say how it ended; the best checkpoint."""
        best, at = self.out / "best.safetensors", self.progress
        self.log.draw()
        if not self.finished:
            self.options.say(f"stopped at step {at.step}: {resuming(self.options.command)} goes on")
            stop.raise_signal()
        else:
            if at.best is None:
                self._write("best")
            if processes.is_first():
                record.conclude(self.out, at)
                self.teacher.clear()
        return best if best.exists() else self.out / "last.safetensors"
