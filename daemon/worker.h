// SPDX-License-Identifier: GPL-2.0-or-later
// One thread for one ring or queue: reads a batch, decides, sends the verdicts.
// Between reading and sending it neither locks nor allocates nor makes a system
// call of its own.
#pragma once

#include <atomic>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "daemon/action_queue.h"
#include "daemon/recorder.h"
#include "lib/decide/chain.h"
#include "lib/descriptor.h"
#include "lib/escalation/transport.h"
#include "lib/result.h"

namespace synward {

class Worker {
  public:
    // Starts the thread, pinned to a CPU of its own where there are enough.
    // `notify` (an eventfd) is written when actions wait; it and `shared` outlive
    // the worker. A recorder gets everything from the first packet on; see record().
    [[nodiscard]] static Result<std::unique_ptr<Worker>> start(unsigned index,
                                                               std::unique_ptr<Transport> transport,
                                                               const DecideConfig& config,
                                                               DecideShared& shared, KeySource& keys,
                                                               int notify, Recorder* recorder = nullptr);
    Worker(const Worker&) = delete;
    Worker& operator=(const Worker&) = delete;
    ~Worker();
    // Stops and joins, and closes the transport: what waits for a verdict gets the fail policy.
    // After that only the chain and the actions that it left may be used.
    void close();

    // From now on, by one thread; until the recorder is gone, which may outlive the worker.
    void record(Recorder& recorder);

    [[nodiscard]] unsigned index() const { return index_; }  // of the ring or queue
    [[nodiscard]] const Chain& chain() const { return chain_; }
    [[nodiscard]] const Transport& transport() const { return *transport_; }
    [[nodiscard]] ActionQueue& actions() { return actions_; }
    [[nodiscard]] const ActionQueue& actions() const { return actions_; }
    // Why the thread ended by itself; empty while it runs.
    [[nodiscard]] std::string failure() const;

  private:
    Worker(unsigned index, std::unique_ptr<Transport> transport, const DecideConfig& config,
           DecideShared& shared, KeySource& keys, int notify, Descriptor stop);
    void pin() const;
    void run();
    bool batch(std::span<const FlowEvent> events);
    void fail_with(const Error& error);

    unsigned index_;
    std::unique_ptr<Transport> transport_;
    Chain chain_;
    ActionQueue actions_;
    std::vector<Verdict> verdicts_;
    int notify_;
    Descriptor stop_;
    // Made once and kept, so that the thread may look at it at any time.
    std::shared_ptr<TraceQueue> recorded_;
    std::atomic<TraceQueue*> trace_{nullptr};
    // Written by the thread before the flag is set.
    std::string failure_;
    std::atomic<bool> failed_{false};
    std::thread thread_;
};

}  // namespace synward
