// SPDX-License-Identifier: GPL-2.0-or-later
#include "lib/sets/index.h"

#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <utility>

#include "lib/sets/contents.h"

namespace synward {
namespace {

using FateTable = std::array<std::uint8_t, 256>;  // class byte -> enum sw_fate

// What one set says of a prefix: of every packet, or, where ports or marks of packets
// count, of some.
using Word = std::uint8_t;
constexpr Word silent = 0;
constexpr Word mute = 0x80;  // an entry that says nothing; of a list, it ends the search
constexpr Word says(unsigned fate) {
    return static_cast<Word>(1 + fate);
}
// For some packets: a bit for each fate.
constexpr Word says_sometimes(unsigned fate) {
    return static_cast<Word>(1 << fate);
}

using Receivers = std::vector<std::string>;

bool by_port(SetKind kind) {
    return kind == SetKind::ip_port || kind == SetKind::net_port;
}

bool sometimes(SetKind kind, const Receivers& receivers) {
    return by_port(kind) || kind == SetKind::ip_mark || (kind == SetKind::net_iface && receivers.size() > 1);
}

// What sets that go by ports may say, each at every port that matters for a prefix: some tenths
// of a second and 64 MiB at most. A million entries in each of two sets are within it.
constexpr std::size_t most_port_words = std::size_t{1} << 21;

constexpr std::size_t most_near = 4096;

// What sweeps find.
struct Findings {
    bool resolve_ports;                 // else what depends on them is left to the kernel
    std::vector<SourceEntry> every{};   // for every port
    std::vector<SourceEntry> single{};  // for one port
    std::size_t words{0};

    [[nodiscard]] bool too_many() const { return words > most_port_words; }
};

// The members of lists in their place: an exception within a member only ends the
// search in that member, as it does within a set of its own.
struct Member {
    const SetContents* set;
    std::size_t bound;  // number of the set, or of the list it is in
};

void flatten(const SetContents& set, std::size_t bound, std::vector<Member>& out) {
    if (set.size()) out.push_back({&set, bound});
    for (const auto& member : set.members()) flatten(*member, bound, out);
}

std::vector<Member> flatten(const std::vector<std::shared_ptr<const SetContents>>& sets) {
    std::vector<Member> out;
    for (std::size_t i = 0; i < sets.size(); i++) flatten(*sets[i], i, out);
    return out;
}

// Goes through the prefixes of one set in order, each once.
template <typename Key>
class Cursor {
  public:
    using Entry = SetContents::Entry<Key>;

    Cursor(const SetContents& set, std::size_t bound, const FateTable& fates, const Receivers& receivers)
        : set_(&set),
          bound_(bound),
          fates_(&fates),
          receivers_(&receivers),
          conditional_(sometimes(set.header().kind, receivers)),
          at_(set.entries<Key>().data()),
          end_(at_ + set.entries<Key>().size()) {}

    [[nodiscard]] bool done() const { return at_ == end_; }
    [[nodiscard]] const Entry& entry() const { return *at_; }
    [[nodiscard]] std::size_t bound() const { return bound_; }
    [[nodiscard]] SetKind kind() const { return set_->header().kind; }
    [[nodiscard]] bool conditional() const { return conditional_; }

    // Passes the entries of this prefix; what the set says there, with what it says around it.
    Word pass(Word around) {
        const Entry& first = *at_;
        Word word = conditional() ? around : silent;
        bool exact = false;
        for (; at_ != end_ && at_->key == first.key && at_->length == first.length; ++at_) {
            switch (kind()) {
                case SetKind::net_iface: {
                    const auto& interface = set_->interfaces()[at_->extra];
                    if (std::ranges::none_of(*receivers_,
                                             [&](const std::string& r) { return interface.matches(r); }))
                        break;
                    if (conditional()) {
                        // One that says nothing ends the search in a list.
                        if (!at_->nomatch)
                            word |= says_sometimes(at_->mute ? unsigned{SW_FATE_NONE} : (*fates_)[at_->mark]);
                        break;
                    }
                    if (exact && interface.wildcard) break;
                    exact = !interface.wildcard;
                    word = present();
                    break;
                }
                case SetKind::ip_port:
                case SetKind::net_port:
                    // The driver hook only looks at TCP.
                    if (at_->extra >> 16 != IPPROTO_TCP) break;
                    [[fallthrough]];
                case SetKind::ip_mark:
                    if (!at_->nomatch && !at_->mute) word |= says_sometimes((*fates_)[at_->mark]);
                    break;
                default:
                    word = present();
                    break;
            }
        }
        return word;
    }
    // Likewise of a set that goes by ports: take(port, word) is told what it says at single TCP
    // ports. No service has the port 0.
    template <typename Take>
    void pass_ports(const Take& take) {
        const Entry& first = *at_;
        for (; at_ != end_ && at_->key == first.key && at_->length == first.length; ++at_)
            if (const std::uint32_t port = at_->extra & 0xffff; port && at_->extra >> 16 == IPPROTO_TCP)
                take(port, present());
    }

  private:
    [[nodiscard]] Word present() const {
        return at_->nomatch ? silent : at_->mute ? mute : says((*fates_)[at_->mark]);
    }

    const SetContents* set_;
    std::size_t bound_;
    const FateTable* fates_;
    const Receivers* receivers_;
    bool conditional_;
    const Entry* at_;
    const Entry* end_;
};

// A sweep over all prefixes in order. Those that contain the present one are on a
// stack, each with what every set says there; and, as rows, with what those that go by
// ports say at every port that an entry there or around it is for.
template <typename Key>
class Sweep {
  public:
    Sweep(std::vector<Cursor<Key>> cursors, Findings& out)
        : cursors_(std::move(cursors)), out_(out), words_(cursors_.size(), silent) {
        for (const auto& cursor : cursors_) {
            const bool resolved = out_.resolve_ports && by_port(cursor.kind());
            conditional_.push_back(cursor.conditional() && !resolved);
            column_.push_back(resolved ? columns_++ : no_column);
        }
    }

    void run() {
        stack_.push_back({{}, 0, SW_FATE_CHECK, 0});  // everything else
        while (!out_.too_many()) {
            const Cursor<Key>* first = nullptr;
            for (const auto& cursor : cursors_)
                if (!cursor.done() && (!first || before(cursor.entry(), first->entry()))) first = &cursor;
            if (!first) return;
            take(first->entry());
        }
    }

  private:
    using Entry = SetContents::Entry<Key>;
    static constexpr std::size_t no_column = ~std::size_t{0};
    struct Frame {
        Key key;
        unsigned length;
        sw_fate fate;      // at ports that no row is about
        std::size_t rows;  // where its rows begin; they end where those of the next frame begin
    };
    struct Row {
        std::uint32_t port;
        sw_fate written;  // of the entry for this port that decides here; NONE: that for every port does
    };
    struct Said {
        std::uint32_t port;
        std::size_t column;
        Word word;
    };

    static bool before(const Entry& a, const Entry& b) {
        return a.key != b.key ? a.key < b.key : a.length < b.length;
    }

    void take(const Entry& entry) {
        const Key key = entry.key;
        const unsigned length = entry.length;
        while (stack_.size() > 1 && key_prefix(key, stack_.back().length) != stack_.back().key) {
            rows_.resize(stack_.back().rows);
            stack_.pop_back();
        }
        const std::size_t sets = cursors_.size();
        const std::size_t depth = stack_.size();
        if (words_.size() < (depth + 1) * sets) words_.resize((depth + 1) * sets);
        const Word* around = &words_[(depth - 1) * sets];
        Word* words = &words_[depth * sets];
        said_.clear();
        for (std::size_t i = 0; i < sets; i++) {
            Cursor<Key>& cursor = cursors_[i];
            words[i] = around[i];
            if (cursor.done() || cursor.entry().key != key || cursor.entry().length != length) continue;
            if (column_[i] == no_column)
                words[i] = cursor.pass(around[i]);
            else
                cursor.pass_ports([&](std::uint32_t port, Word word) {
                    said_.push_back({port, column_[i], word});
                });
        }
        const sw_fate fate = decide(words, nullptr);
        if (fate != stack_.back().fate) out_.every.push_back({{key_address(key), length}, fate});
        stack_.push_back({key, length, fate, rows_.size()});
        if (columns_) take_ports(words);
    }

    // The rows of the frame on top: those of the one below, with what was said here.
    void take_ports(const Word* words) {
        const Frame& here = stack_.back();
        const std::size_t end = here.rows;
        std::size_t below = stack_[stack_.size() - 2].rows;
        if (below == end && said_.empty()) return;
        std::sort(said_.begin(), said_.end(), [](const Said& a, const Said& b) { return a.port < b.port; });
        auto said = said_.begin();
        while (below != end || said != said_.end()) {
            Row row{~0u, SW_FATE_NONE};
            if (said != said_.end()) row.port = said->port;
            const std::size_t at = rows_.size() * columns_;
            table_.resize(std::max(table_.size(), at + columns_));
            Word* cells = &table_[at];
            if (below != end && rows_[below].port <= row.port) {
                row = rows_[below];
                std::copy_n(&table_[below++ * columns_], columns_, cells);
            } else {
                std::fill_n(cells, columns_, silent);
            }
            for (; said != said_.end() && said->port == row.port; ++said) cells[said->column] = said->word;
            const sw_fate fate = decide(words, cells);
            if (fate != (row.written ? row.written : here.fate)) {
                out_.single.push_back({{key_address(here.key), here.length}, fate, row.port});
                row.written = fate;
            }
            rows_.push_back(row);
            out_.words += columns_;
        }
    }

    // The first set that speaks, at the port that the cells are about. Where one before it has
    // another word for some packets, the kernel has to look at them.
    [[nodiscard]] sw_fate decide(const Word* words, const Word* cells) const {
        unsigned further = 0;
        for (std::size_t i = 0; i < cursors_.size(); i++) {
            const Word word = cells && column_[i] != no_column ? cells[column_[i]] : words[i];
            if (word == silent) continue;
            if (word == mute) {
                while (i + 1 < cursors_.size() && cursors_[i + 1].bound() == cursors_[i].bound()) i++;
                continue;
            }
            if (conditional_[i]) {
                further |= word;
                continue;
            }
            const unsigned fate = word - 1u;
            return further & ~(1u << fate) ? SW_FATE_CHECK : static_cast<sw_fate>(fate);
        }
        return SW_FATE_CHECK;
    }

    std::vector<Cursor<Key>> cursors_;
    Findings& out_;
    std::vector<Frame> stack_;
    std::vector<Word> words_;  // for each frame, of each set
    std::vector<char> conditional_;
    std::vector<std::size_t> column_;  // of each set
    std::size_t columns_ = 0;          // sets that go by ports
    std::vector<Row> rows_;            // of each frame, by port
    std::vector<Word> table_;          // for each row, of each column
    std::vector<Said> said_;
};

template <typename Key>
void sweep(const std::vector<Member>& sets, const FateTable& fates, const Receivers& receivers,
           Findings& out) {
    std::vector<Cursor<Key>> cursors;
    std::size_t entries = 0;
    for (const Member& member : sets) {
        if (member.set->entries<Key>().empty()) continue;
        cursors.emplace_back(*member.set, member.bound, fates, receivers);
        entries += member.set->entries<Key>().size();
    }
    if (cursors.empty()) return;
    out.every.reserve(out.every.size() + entries);
    Sweep<Key>(std::move(cursors), out).run();
}

void sweep_all(const std::vector<std::shared_ptr<const SetContents>>& bound, const Fates& fates,
               const Receivers& receivers, Findings& out) {
    FateTable table{};
    for (unsigned mark = 0; mark < 256; mark++)
        table[mark] = static_cast<std::uint8_t>(fates.at_driver(static_cast<std::uint8_t>(mark)));
    const std::vector<Member> sets = flatten(bound);
    sweep<Key4>(sets, table, receivers, out);
    sweep<Key6>(sets, table, receivers, out);
}

}  // namespace

SetIndex::SetIndex(std::vector<std::shared_ptr<const SetContents>> sets) : sets_(std::move(sets)) {}

std::optional<std::uint8_t> SetIndex::find(const SetQuery& query) const {
    for (const auto& set : sets_)
        if (const auto found = set->find(query); found.answer == SetContents::Answer::mark) return found.mark;
    return {};
}

std::vector<SourceEntry> SetIndex::at_driver(const Fates& fates, const Receivers& receivers) const {
    Findings found{.resolve_ports = false};
    sweep_all(sets_, fates, receivers, found);
    return std::move(found.every);
}

std::optional<std::vector<SourceEntry>> SetIndex::at_driver_by_port(const Fates& fates,
                                                                    const Receivers& receivers) const {
    Findings found{.resolve_ports = true};
    sweep_all(sets_, fates, receivers, found);
    if (found.too_many()) return std::nullopt;
    std::sort(found.single.begin(), found.single.end(),
              [](const SourceEntry& a, const SourceEntry& b) { return a.place() < b.place(); });
    found.every.insert(found.every.end(), found.single.begin(), found.single.end());
    return std::move(found.every);
}

std::optional<std::vector<SourceEntry>> SetIndex::at_driver_within(const Prefix& prefix, const Fates& fates,
                                                                   const Receivers& receivers) const {
    std::vector<std::shared_ptr<const SetContents>> near;
    for (const auto& set : sets_) {
        near.push_back(set->around(prefix, most_near));
        if (!near.back()) return std::nullopt;
    }
    auto found = SetIndex(std::move(near)).at_driver_by_port(fates, receivers);
    if (found)
        std::erase_if(*found, [&](const SourceEntry& entry) {
            return entry.prefix.length < prefix.length || !prefix.contains(entry.prefix.address);
        });
    return found;
}

bool SetIndex::by_interface() const {
    return std::ranges::any_of(flatten(sets_),
                               [](const Member& m) { return m.set->header().kind == SetKind::net_iface; });
}

bool SetIndex::by_port() const {
    return std::ranges::any_of(flatten(sets_),
                               [](const Member& m) { return synward::by_port(m.set->header().kind); });
}

std::vector<UndefinedMark> SetIndex::undefined(const Fates& fates) const {
    std::vector<UndefinedMark> found;
    for (const Member& member : flatten(sets_)) {
        for (unsigned number = 1; number < 256; number++) {
            const auto mark = static_cast<std::uint8_t>(number);
            if (const std::size_t entries = member.set->count(mark); entries && !fates.find(mark))
                found.push_back({member.set->header().name, mark, entries});
        }
    }
    return found;
}

std::size_t SetIndex::size() const {
    std::size_t count = 0;
    for (const Member& member : flatten(sets_)) count += member.set->size();
    return count;
}

}  // namespace synward
