// SPDX-License-Identifier: GPL-2.0-or-later
// Follows the bound sets and brings what they say to the driver hook. Without a thread
// or a clock of its own: somebody calls round() when next() says, or something is reported.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/config.h"
#include "lib/policy.h"
#include "lib/result.h"
#include "lib/sets/contents.h"
#include "lib/sets/index.h"
#include "lib/sets/reader.h"
#include "lib/sets/set_event.h"

namespace synward {

struct MirrorStatus {
    struct Set {
        std::string name;
        std::string type;  // empty: it is not there
        std::size_t entries = 0;
        std::size_t memory = 0;           // bytes that the copy takes
        std::chrono::nanoseconds poll{};  // between two looks at its header
        std::chrono::nanoseconds read{};  // what reading it took, time on the CPU
        std::string problem;              // empty: it acts as it is
    };
    struct Interface {
        std::string name;
        std::size_t entries = 0;  // in force
        std::uint64_t replaced = 0, updated = 0;
        std::uint64_t overwritten = 0;  // by another process, and put back
        // Entries by interface are left to the kernel: it gets the packets by these devices.
        std::vector<std::string> kernel_only;
        std::string problem;
        std::string ports_problem;  // not empty: entries by port do not act there, and why
    };
    std::vector<Set> sets;
    std::vector<Interface> interfaces;
    std::uint64_t polls = 0;    // headers asked for
    std::uint64_t reads = 0;    // sets read
    std::uint64_t told = 0;     // entries of which an event told, so that no set was read for them
    std::uint64_t changes = 0;  // entries that were added, removed or changed
    std::uint64_t drift = 0;    // of them, found although nothing had told of them
    std::vector<UndefinedMark> undefined;
};

// One thread at a time.
class SetMirror {
  public:
    using Clock = std::chrono::steady_clock;
    // Puts the entries in force on one interface: all at once where `whole`, else by
    // what differs. An error leaves the old ones.
    using Write = std::function<Result<void>(std::vector<SourceEntry> wanted, bool whole)>;
    // Likewise of what lies in a prefix; the other entries stay. Returns how many there are then.
    using Patch = std::function<Result<std::size_t>(const Prefix& within, std::vector<SourceEntry> wanted)>;
    // Whether packets still go by what was written there last. Asked in every round.
    using InForce = std::function<bool()>;
    // What an administrator should read: once when it begins and once when it ends.
    using Tell = std::function<void(bool problem, const std::string& text)>;

    // The reader's network namespace is the one whose sets are followed. Without a
    // reader (a kernel without ipsets) there are the config's sources only.
    SetMirror(std::optional<SetReader> reader, Tell tell)
        : reader_(std::move(reader)), tell_(std::move(tell)) {}

    // Which sets, how often, and the sources that come before all sets.
    void configure(const ClassifyConfig& classify, const SourcesConfig& sources);
    // Of the same name: replaces it, and is written anew. `receivers` as
    // SetIndex::at_driver() has them. Without a Patch, all is written whatever changed.
    void add_interface(
        const std::string& name, std::vector<std::string> receivers, Write write,
        InForce in_force = [] { return true; }, Patch patch = {});
    void remove_interface(std::string_view name);

    // Read at the next round; an empty name means every set. `told`: the one entry that was added
    // or removed (SetEvent::entry). Where that can be understood, only that changes, and nothing
    // is read; empty: not told.
    void report(std::string_view name, SetOperation operation, std::span<const std::uint8_t> told = {});

    // What changed in a round.
    struct Change {
        std::shared_ptr<const SetIndex> index;  // of the sets, without the config's sources
        // Who may have another fate now; 0.0.0.0/0 and ::/0 where it is too many to tell.
        std::vector<Prefix> prefixes;
    };
    std::optional<Change> round();
    // The next round is due then.
    [[nodiscard]] Clock::time_point next() const;

    [[nodiscard]] MirrorStatus status() const;
    // `unsupported`, with what is wrong, where a set is there but could not be read yet, so
    // that its entries are unknown: what somebody else wrote of it would be lost by a Write
    // of the others. Within a Write too.
    [[nodiscard]] Result<void> complete() const;

  private:
    // A set, or a member of a list.
    struct Part {
        SetHeader header;
        std::shared_ptr<const SetContents> contents;
        bool ahead = false;             // of the header, by what was told
        std::vector<SetChange> told{};  // for the next round
    };
    struct Bound {
        std::string name;
        std::vector<Part> parts;  // the set first, then its members; empty: it is not there
        std::string problem;
        bool dirty = true;   // to be read
        bool whole = false;  // it is another set, so it is replaced rather than updated
        bool taken = false;  // what was told, in this round
        Clock::time_point next_poll{};
        Clock::time_point may_read{};
        Clock::time_point may_doubt{};  // that what was told is all that happened
        std::optional<Clock::time_point> vanished;
        std::chrono::nanoseconds poll_cost{}, read_cost{}, poll_every{};
    };
    struct Target {
        std::string name;
        std::vector<std::string> receivers;
        Write write;
        InForce in_force;
        Patch patch;
        bool written = false;
        Clock::time_point may_tell{};  // that it was overwritten
        bool stale = true;
        MirrorStatus::Interface status;
    };
    struct Found;

    static bool alike(const Part& part, SetHeader header);
    static bool believe(Bound& bound, std::string_view name, SetOperation operation,
                        std::span<const std::uint8_t> told);
    static bool has_told(const Bound& bound);
    static void take_told(Bound& bound, Found& found);
    [[nodiscard]] bool involves(const Bound& bound, std::string_view name) const;
    bool moved(Bound& bound, Clock::time_point now);
    Result<std::vector<Part>> read(const Bound& bound, bool everything);
    void look(Bound& bound, Clock::time_point now, bool reconcile, Found& found);
    void gone(Bound& bound, Clock::time_point now, Found& found);
    void problem(Bound& bound, const std::string& text);
    void pace(Clock::time_point now);
    void rebuild();
    void ports_problem(Target& target, const std::string& why);
    void tell_undefined();
    void leave_to_kernel(Target& target, bool apart);
    void look_for_others(Target& target, Clock::time_point now);
    [[nodiscard]] bool patch(Target& target, const std::vector<Prefix>& changed) const;
    // `changed`: nothing else did; null: not known.
    void write(bool whole, const std::vector<Prefix>* changed);

    std::optional<SetReader> reader_;
    Tell tell_;
    ClassifyConfig classify_;
    SourcesConfig sources_;
    std::vector<Bound> bound_;
    std::vector<Target> targets_;
    std::shared_ptr<const SetIndex> index_;   // the sets
    std::shared_ptr<const SetIndex> driver_;  // the config's sources, then the sets
    bool configured_anew_ = false;
    Clock::time_point last_round_{};
    Clock::time_point next_reconcile_{};
    std::uint64_t polls_ = 0, reads_ = 0, told_ = 0, changes_ = 0, drift_ = 0;
    std::vector<UndefinedMark> undefined_;
};

}  // namespace synward
